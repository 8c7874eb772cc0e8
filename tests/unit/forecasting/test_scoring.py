from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from carbonsched.forecasting import HOUR_S, Hourly, HourlyIssue
from carbonsched.forecasting.evaluation import Recorded, evaluate, last_days
from carbonsched.forecasting.scoring import Forecasts, regret_pct, score

SERIES = arrays(np.float64, (3, 96), elements=st.integers(1, 500).map(float))


def by_hand(forecast, actual, first, hours):
    extra = best_of_all = 0.0
    for said, real in zip(forecast, actual, strict=True):
        starts = [s for s in range(first, first + 24) if s + hours <= 96]
        chosen = min(starts, key=lambda s: (sum(said[s : s + hours]) / hours, s))
        best = min(sum(real[s : s + hours]) for s in starts)
        extra += sum(real[chosen : chosen + hours]) - best
        best_of_all += best
    return 100 * extra / best_of_all


@settings(max_examples=40)
@given(SERIES, SERIES, st.sampled_from([0, 24, 48, 72]), st.sampled_from([1, 4, 12, 24]))
def test_regret_is_what_trying_all_starts_gives(forecast, actual, first, hours):
    forecast = np.cumsum(forecast * 2.0**-9, axis=1) % 7  # hardly any ties between windows
    found = regret_pct(forecast, actual, first, hours)
    assert found == pytest.approx(by_hand(forecast, actual, first, hours), abs=1e-6)
    assert found >= 0
    assert regret_pct(actual, actual, first, hours) == 0


def test_regret_needs_whole_issues():
    actual = np.full((2, 96), 100.0)
    actual[0, 3] = np.nan
    actual[1, 5] = 50.0
    forecast = np.arange(192.0).reshape(2, 96)
    assert regret_pct(forecast, actual, 0, 1) == pytest.approx(100.0)
    actual[1, 7] = np.nan
    assert regret_pct(forecast, actual, 0, 1) is None
    assert regret_pct(forecast[:, :20], actual[:, :20], 24, 1) is None


def test_errors_bias_and_coverage_by_hand():
    actual = np.full((1, 96), 100.0)
    mean = actual.copy()
    mean[0, :24] = 110.0
    mean[0, 24:36], mean[0, 36:48] = 80.0, np.nan
    low, high = mean - 5, mean + 5
    found = score("x", Forecasts(mean, low, high), actual)
    first, second, third, _ = found
    assert (first.n, first.lead_day) == (24, 1)
    assert (first.mape_pct, first.bias_g_per_kwh, first.coverage80_pct) == (
        pytest.approx(10), pytest.approx(10), 0,
    )  # fmt: skip
    assert (second.n, second.mape_pct, second.bias_g_per_kwh) == (
        12, pytest.approx(20), pytest.approx(-20),
    )  # fmt: skip
    assert third.coverage80_pct == 100
    assert second.regret_pct[0] is None


def test_the_horizon_is_what_issues_reach():
    """A day of forecasts is a choice for each job that fits into it, and none beyond it."""
    actual = np.full((2, 96), np.nan)
    actual[:, :24] = 100.0
    actual[:, 20:24] = 50.0
    forecast = actual.copy()
    forecast[:, :4] = 10.0
    first, second, *_ = score("x", Forecasts(forecast), actual)
    assert first.regret_pct == (100, 100, pytest.approx(20), 0)
    assert second.regret_pct == (None,) * 4


def test_hours_that_do_not_count_are_left_out_for_all():
    actual = np.full((1, 96), 100.0)
    truth = actual.copy()
    truth[0, :24] = np.nan
    first, second, *_ = score("x", Forecasts(actual + 1), truth)
    assert (first.n, first.mape_pct, first.bias_g_per_kwh) == (0, None, None)
    assert (second.n, second.coverage80_pct) == (24, None)


def test_all_methods_are_scored_on_the_same_hours():
    """A provider's zeros, and days of which persistence knows nothing, count for none."""
    rng = np.random.default_rng(2)
    values = 200 + 50 * np.sin(np.arange(24 * 50) * np.pi / 12) + rng.normal(0, 5, 24 * 50)
    actual = values.copy()
    actual[24 * 30 : 24 * 40] = np.nan
    issues = []
    for day in range(20, 45):
        said = values[24 * day : 24 * day + 96].copy()
        said[[5, 30]] = 0.0, -3.0
        issues.append(HourlyIssue(day * 24 * HOUR_S, Hourly(day * 24 * HOUR_S, said)))
    recorded = Recorded(actual=Hourly(0, actual), issues=tuple(issues))
    found = evaluate(recorded, range(len(issues)), 1, lambda _: None)
    for day in (1, 2, 3, 4):
        counts = {one.n for one in found if one.lead_day == day}
        assert len(counts) == 1
        assert counts.pop() > 100
    assert {one.mape_pct for one in found if one.method == "provider"} == {0.0}


def test_persistence_takes_the_latest_known_value_of_each_hour():
    values = np.arange(1.0, 24 * 9 + 1)
    start = 24 * 8 * HOUR_S
    days = last_days(Hourly(0, values), start, 1)
    assert days.shape == (7, 24)
    assert days[0, -1] == values[24 * 8 - 2]
    values[24 * 8 - 2] = 0.0  # a published zero is missing: the day before counts
    assert last_days(Hourly(0, values), start, 1)[0, -1] == values[24 * 7 - 2]
