from __future__ import annotations

import time

import numpy as np
import pytest

from carbonsched.forecasting import HOUR_S, Forecaster, Hourly, HourlyIssue
from carbonsched.forecasting.evaluation import Recorded, evaluate

from .synthetic import DAY_S, FIRST_AT, grid


def scores(made, scored=range(30, 80, 2)):
    recorded = Recorded(actual=made.actual, issues=made.issues)
    found = evaluate(recorded, list(scored), 1, lambda _: None)
    return {(one.method, one.lead_day): one for one in found}


def told(made, now, actual=None, issues=None):
    found = Forecaster().forecast(
        now, made.actual if actual is None else actual, made.issues if issues is None else issues
    )
    assert found is not None
    return found


def test_a_provider_that_is_always_low_is_corrected():
    found = scores(grid(bias=0.7, noise=0.03))
    for day in range(1, 5):
        assert found["provider", day].mape_pct > 28
        assert found["carbonsched", day].mape_pct < 12


def test_a_useless_provider_is_left_aside():
    found = scores(grid(noise=0.8))
    for day in range(1, 5):
        best = min(found[name, day].mape_pct for name in ("persistence", "week-mean"))
        assert found["carbonsched", day].mape_pct < 1.02 * best


def test_a_good_provider_is_left_alone():
    found = scores(grid(noise=0.01))
    for day in range(1, 5):
        assert found["carbonsched", day].mape_pct < 1.1 * found["provider", day].mape_pct


@pytest.mark.parametrize("seed", [2, 3])
def test_the_interval_holds_four_hours_in_five(seed):
    found = scores(grid(noise=0.15, seed=seed))
    for day in range(1, 5):
        assert 70 < found["carbonsched", day].coverage80_pct < 90
        assert found["provider", day].coverage80_pct is None


def test_the_mean_lies_within_the_interval():
    found = told(made := grid(), made.start_of(100))
    assert np.all(found.low <= found.mean)
    assert np.all(found.mean <= found.high)
    assert found.mean.shape == found.low.shape == found.high.shape == (96,)
    assert found.start_at == made.start_of(100)


def test_a_short_horizon_is_extended_and_said():
    made = grid(horizon=24, noise=0.02)
    now = made.start_of(100)
    found = told(made, now)
    assert "24 h extended to 96 h from the zone's own past" in found.inputs
    truth = made.actual.between(now, now + 4 * DAY_S)
    assert np.mean(np.abs(found.mean - truth) / truth) < 0.35
    alone = told(made, now, issues=())
    assert abs(np.log(found.mean[95] / alone.mean[95])) < 0.01  # the last word has faded


def test_without_a_provider_the_past_alone_is_used():
    found = told(made := grid(), made.start_of(100) + 1234, issues=())
    assert found.inputs[0] == "no provider's forecast: from the zone's own past alone"
    assert found.start_at == made.start_of(100)
    assert len(found.mean) == 96


def test_without_actual_values_the_provider_is_left_as_it_is():
    made = grid(horizon=48)
    now = made.start_of(100) + 2 * HOUR_S
    found = told(made, now, actual=Hourly(FIRST_AT, np.empty(0)))
    assert found.inputs[0] == "provider's forecast, 46 h, issued 2 h ago, uncorrected"
    assert found.mean == pytest.approx(made.issues[60].hours.values[2:])
    assert np.all(found.low < found.mean)


def test_with_nothing_there_is_no_forecast():
    made = grid()
    nothing = Hourly(FIRST_AT, np.full(10, np.nan))
    assert Forecaster().forecast(made.start_of(100), nothing, ()) is None
    old = made.issues[:10]
    assert Forecaster().forecast(made.start_of(100), nothing, old) is None


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (1, "actual values of 1 hour only: level, no profile of the day"),
        (5, "actual values of 5 hours only: level, no profile of the day"),
        (72, "actual values of 3 of the last 28 days"),
    ],
)
def test_little_history_is_used_and_said(hours, words):
    made = grid()
    now = made.start_of(100)
    short = Hourly(now - (hours + 1) * HOUR_S, np.full(hours, 200.0))
    found = told(made, now, actual=short, issues=())
    assert words in found.inputs
    assert found.mean == pytest.approx(np.full(96, 200.0), rel=0.01)
    with_provider = told(made, now, actual=short)
    assert "provider's forecast, 96 h, issued 0 h ago" in with_provider.inputs
    assert np.isfinite(with_provider.mean).all()


def test_gaps_and_late_values_are_borne_and_said():
    made = grid()
    now = made.start_of(100)
    values = made.actual.values.copy()
    values[99 * 24 - 30 : 99 * 24 - 20] = np.nan
    values[100 * 24 - 6 :] = np.nan
    values[95 * 24] = 0.0
    found = told(made, now, actual=Hourly(FIRST_AT, values))
    assert "11 hours missing in them" in found.inputs
    assert "actual values end 6 hours ago" in found.inputs
    whole = told(made, now)
    assert np.max(np.abs(np.log(found.mean / whole.mean))) < 0.15


def test_hours_missing_in_the_providers_forecast_are_filled_and_said():
    made = grid()
    values = made.issues[60].hours.values.copy()
    values[10:13] = [np.nan, 0.0, -4.0]
    at = made.start_of(100)
    found = told(made, at, issues=[*made.issues[:60], HourlyIssue(at, Hourly(at, values))])
    assert "3 hours missing in it: filled from the zone's own past" in found.inputs
    assert np.isfinite(found.mean).all()


def test_few_issues_give_cautious_weights():
    made = grid()
    found = told(made, made.start_of(100), issues=made.issues[58:61])
    assert "its errors known from 2 days only: cautious weights" in found.inputs


def test_one_wild_day_does_not_poison_what_was_learnt():
    made = grid(noise=0.03)
    now = made.start_of(100)
    issues = list(made.issues)
    at = issues[55].issued_at
    issues[55] = HourlyIssue(at, Hourly(at, issues[55].hours.values * 1000))
    truth = made.actual.between(now, now + DAY_S)
    found = told(made, now, issues=issues)
    assert np.mean(np.abs(found.mean[:24] - truth) / truth) < 0.15


def test_a_forecast_for_tomorrow_is_completed_by_yesterdays():
    made = grid(noise=0.0)
    noon = made.start_of(100) + 12 * HOUR_S
    tomorrow = made.start_of(101)
    late = HourlyIssue(noon, Hourly(tomorrow, made.actual.between(tomorrow, tomorrow + DAY_S)))
    found = told(made, noon, issues=[*made.issues[:61], late])
    truth = made.actual.between(noon, noon + 3 * DAY_S)
    assert found.mean[:72] == pytest.approx(truth, rel=0.1)


def test_the_same_question_has_the_same_answer():
    made = grid()
    one, other = (told(made, made.start_of(100)) for _ in range(2))
    assert one.mean.tobytes() == other.mean.tobytes()


def test_twenty_zones_take_well_under_a_second():
    zones = [grid(seed=seed) for seed in range(4)] * 5
    began = time.process_time()
    for made in zones:
        told(made, made.start_of(110))
    assert time.process_time() - began < 1.0
