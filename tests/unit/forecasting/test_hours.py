from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.forecasting import HOUR_S, Hourly, HourlyForecast
from carbonsched.forecasting.hours import hourly, issue
from carbonsched.model.intensity import Point, StepSeries

AT = 1_700_006_400


@st.composite
def points(draw):
    at = AT
    found = []
    for _ in range(draw(st.integers(0, 12))):
        at += draw(st.sampled_from([0, 0, 0, 300, 900]))
        end = at + draw(st.sampled_from([300, 900, 1800, 3600, 7200]))
        found.append(Point(at, end, draw(st.integers(0, 900_000))))
        at = end
    return tuple(found)


@given(points(), st.integers(-7200, 7200), st.integers(0, 12 * HOUR_S))
def test_an_hour_is_the_exact_mean_or_missing(given_points, shift, length):
    start, end = AT + shift, AT + shift + length
    found = hourly(given_points, start, end)
    steps = StepSeries(given_points)
    assert found.start_at >= start
    assert found.start_at + len(found.values) * HOUR_S <= max(end, found.start_at)
    for index, value in enumerate(found.values):
        at = found.start_at + index * HOUR_S
        exact = steps.mean(at, at + HOUR_S)
        assert np.isnan(value) if exact is None else value == pytest.approx(float(exact) / 1000)


def test_outside_of_a_series_all_is_missing():
    series = Hourly(AT, np.array([1.0, 2.0]))
    found = series.between(AT - 2 * HOUR_S, AT + 3 * HOUR_S)
    assert np.array_equal(found, [np.nan, np.nan, 1.0, 2.0, np.nan], equal_nan=True)
    assert np.isnan(series.between(AT + 9 * HOUR_S, AT + 11 * HOUR_S)).all()
    assert not series.between(AT, AT - HOUR_S).size


def test_a_series_starts_on_a_whole_hour():
    with pytest.raises(ValueError, match="whole hour"):
        Hourly(AT + 1, np.empty(0))


def test_an_issue_keeps_its_own_time():
    found = issue(AT - 60, [Point(AT, AT + 1800, 1000), Point(AT + 1800, AT + 3600, 3000)])
    assert found.issued_at == AT - 60
    assert (found.hours.start_at, found.hours.values.tolist()) == (AT, [2.0])
    assert not issue(AT + 5, []).hours.values.size


def test_a_forecast_becomes_points_in_whole_milligrams():
    made = HourlyForecast(
        issued_at=AT + 5,
        start_at=AT,
        mean=np.array([1.2344, 300.0]),
        low=np.array([1.0, 250.0]),
        high=np.array([2.0006, 350.0]),
        inputs=(),
    )
    found, band = made.points()
    assert found == (
        Point(AT, AT + HOUR_S, 1234), Point(AT + HOUR_S, AT + 2 * HOUR_S, 300_000),
    )  # fmt: skip
    assert band == ((1000, 2001), (250_000, 350_000))
