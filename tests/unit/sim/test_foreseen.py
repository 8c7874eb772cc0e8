"""The grid as the simulated planner foresees it: from what was issued and what had occurred."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.model.intensity import StepSeries
from carbonsched.sim.foreseen import ForeseenGrid

HOUR = 3600
START = 1_700_000_000 // HOUR * HOUR
DAY = 24
NIGHT, NOON = 400, 100
NOW = START + 9 * DAY * HOUR


def pattern(days, noon=NOON):
    """Clean for six hours around noon."""
    return [noon if 9 <= hour < 15 else NIGHT for hour in range(DAY)] * days


@pytest.fixture
def grid(job, place):
    """Makes the grid after these hours, with forecasts as pairs of issue and hours."""

    def made(grams, forecasts=()):
        scenario = place([job()], grams, forecasts=forecasts)
        return ForeseenGrid(scenario), scenario

    return made


def mean(forecast, first_h, hours):
    at = forecast.issued_at // HOUR * HOUR + first_h * HOUR
    return float(forecast.steps.mean(at, at + hours * HOUR)) / 1000


def test_after_a_week_the_days_are_foreseen_though_nobody_forecasts_them(grid):
    foreseen = grid(pattern(14))[0].forecast("DE", NOW)
    assert mean(foreseen, 9, 6) == pytest.approx(NOON, rel=0.1)
    assert mean(foreseen, 18, 12) == pytest.approx(NIGHT, rel=0.1)


def test_with_less_than_a_week_the_issue_counts_as_it_was_issued(grid):
    now = START + 6 * DAY * HOUR
    made, scenario = grid(pattern(14), [(now - HOUR, [250] * 96)])
    assert made.forecast("DE", now) is scenario.forecasts["DE"][0]
    alone, _ = grid(pattern(14))
    assert alone.forecast("DE", now) is None


def test_a_provider_that_is_always_a_third_too_high_is_believed_less_and_less(grid):
    """Its issues are daily, for four days."""
    high = [1.5 * one for one in pattern(4)]
    issues = [(START + day * DAY * HOUR, high) for day in range(10)]
    foreseen = grid(pattern(14), issues)[0].forecast("DE", NOW)
    off = mean(foreseen, 18, 12) / NIGHT - 1
    assert -0.05 < off < 0.3


def test_what_comes_later_changes_nothing(grid):
    issues = [(START + day * DAY * HOUR, pattern(4)) for day in range(14)]
    _, one = grid(pattern(14), issues)
    later = pattern(9) + pattern(5, noon=900)
    kept = tuple(one for one in one.forecasts["DE"] if one.issued_at <= NOW)
    _, other = grid(later)
    other = replace(other, forecasts={"DE": kept})
    assert other.intensity["DE"] != one.intensity["DE"]
    for now in (NOW - 5 * HOUR, NOW, NOW + 1799):
        found = [ForeseenGrid(some).forecast("DE", now) for some in (one, other)]
        assert found[0] == found[1]


def test_it_is_made_anew_each_hour_and_at_each_issue(grid):
    issues = [(START + day * DAY * HOUR, pattern(4)) for day in range(9)]
    made, _ = grid(pattern(14), [*issues, (NOW + 1200, pattern(4, noon=50))])
    first = made.forecast("DE", NOW)
    assert made.forecast("DE", NOW + 600) is first
    told = made.forecast("DE", NOW + 1200)
    assert told is not first
    assert mean(told, 9, 6) < mean(first, 9, 6)
    assert made.forecast("DE", NOW + HOUR) is not told


def test_a_zone_of_which_nothing_is_recorded_is_not_foreseen(grid):
    made, scenario = grid(pattern(14))
    assert made.forecast("ES", NOW) is None
    empty = replace(scenario, intensity={"DE": StepSeries(())})
    assert ForeseenGrid(empty).forecast("DE", NOW) is None
