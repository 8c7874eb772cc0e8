"""What is not known yet changes nothing, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.forecasting import HOUR_S, Forecaster, Hourly, HourlyIssue
from carbonsched.forecasting.evaluation import Recorded, evaluate

from .synthetic import DAY_S, FIRST_AT, grid

GRID = grid(days=60, first_issue=30)
START_S = 50 * DAY_S


def same(one, other):
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes()
        for name in ("mean", "low", "high")
    ) and (one.inputs == other.inputs)


@settings(max_examples=30)
@given(
    offset_s=st.integers(0, 5 * DAY_S),
    lag_h=st.integers(0, 30),
    which=st.integers(0, 10_000),
    value=st.sampled_from([0.0, 1.0, 1e6, float("nan"), float("inf")]),
)
def test_nothing_that_comes_later_is_used(offset_s, lag_h, which, value):
    now = FIRST_AT + START_S + offset_s
    forecaster = Forecaster(lag_h=lag_h)
    before = forecaster.forecast(now, GRID.actual, GRID.issues)

    values = GRID.actual.values.copy()
    known = (now // HOUR_S * HOUR_S - FIRST_AT) // HOUR_S - lag_h
    values[known + which % (len(values) - known)] = value
    after = forecaster.forecast(now, Hourly(FIRST_AT, values), GRID.issues)
    assert same(before, after)

    values[known:] = value
    issues = [one for one in GRID.issues if one.issued_at <= now]
    later = now + 1 + which
    issues.append(HourlyIssue(later, Hourly(later // HOUR_S * HOUR_S, np.full(96, value))))
    assert same(before, forecaster.forecast(now, Hourly(FIRST_AT, values), issues))


def test_what_is_known_just_in_time_is_used():
    now = FIRST_AT + START_S
    known = START_S // HOUR_S - 1
    for lag_h, moves in ((1, True), (2, False)):
        values = GRID.actual.values.copy()
        values[known - 1] *= 1.5
        forecaster = Forecaster(lag_h=lag_h)
        before = forecaster.forecast(now, GRID.actual, GRID.issues)
        after = forecaster.forecast(now, Hourly(FIRST_AT, values), GRID.issues)
        assert same(before, after) is not moves


def test_an_issue_counts_from_its_own_time_on():
    at = GRID.issues[15].issued_at
    for now, moves in ((at - 1, False), (at, True)):
        issues = list(GRID.issues)
        issues[15] = HourlyIssue(at, Hourly(at, issues[15].hours.values * 1.5))
        before = Forecaster().forecast(now, GRID.actual, GRID.issues)
        assert same(before, Forecaster().forecast(now, GRID.actual, issues)) is not moves


def test_scores_of_early_issues_do_not_depend_on_later_ones():
    scored = list(range(5, 15))
    all_known = evaluate(
        Recorded(actual=GRID.actual, issues=GRID.issues), scored, 1, lambda _: None
    )
    fewer = evaluate(
        Recorded(actual=GRID.actual, issues=GRID.issues[:15]), scored, 1, lambda _: None
    )
    assert all_known == fewer


def test_an_actual_value_is_not_known_before_its_hour_is_over():
    with pytest.raises(ValueError, match="not known before"):
        Forecaster(lag_h=-1)
