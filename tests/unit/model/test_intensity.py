"""Means over steps, beside the same reckoned second by second."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo, StepSeries

INFO = SeriesInfo(provider="recorded", zone="DE")


@st.composite
def stepwise(draw):
    """Points over about a minute, some with gaps between them."""
    at, points = draw(st.integers(-5, 5)), []
    for gap, length, value in draw(
        st.lists(
            st.tuples(
                st.sampled_from([0, 0, 0, 3]), st.integers(1, 9), st.integers(0, 900_000)
            ),
            max_size=8,
        )
    ):  # fmt: skip
        points.append(Point(at + gap, at + gap + length, value))
        at += gap + length
    return tuple(points)


@given(stepwise(), st.integers(-10, 60), st.integers(1, 60))
def test_a_mean_is_that_of_every_second_or_missing(points, start_at, length_s):
    steps = StepSeries(points)
    seconds = range(start_at, start_at + length_s)
    told = [steps.at(second) for second in seconds]
    mean = steps.mean(start_at, start_at + length_s)
    if None in told:
        assert mean is None
    else:
        assert mean == Fraction(sum(point.mg_per_kwh for point in told), length_s)


@given(stepwise(), st.integers(-10, 60))
def test_the_period_of_an_instant_holds_it(points, instant):
    holding = [point for point in points if point.start_at <= instant < point.end_at]
    assert StepSeries(points).at(instant) == (holding[0] if holding else None)


def test_a_third_stays_a_third():
    steps = StepSeries((Point(0, 1, 1), Point(1, 3, 0)))
    assert steps.mean(0, 3) == Fraction(1, 3)


@pytest.mark.parametrize("end_at", [5, 4])
def test_an_empty_interval_has_no_mean(end_at):
    with pytest.raises(ValueError, match="empty"):
        StepSeries((Point(0, 10, 1),)).mean(5, end_at)


def test_points_that_overlap_or_run_backwards_are_refused():
    for points in ((Point(0, 10, 1), Point(9, 20, 1)), (Point(10, 20, 1), Point(0, 10, 1))):
        with pytest.raises(ValueError, match="overlap or are unordered"):
            StepSeries(points)


def test_a_point_has_a_length_and_no_negative_value():
    with pytest.raises(ValueError, match="ends after"):
        Point(5, 5, 1)
    with pytest.raises(ValueError, match="not negative"):
        Point(5, 6, -1)


def test_series_and_forecasts_know_their_steps_and_horizon():
    points = (Point(0, 10, 100), Point(10, 30, 400))
    forecast = Forecast(info=INFO, issued_at=0, points=points)
    assert forecast.ends_at == 30
    assert forecast.steps.mean(0, 30) == 300
    assert Forecast(info=INFO, issued_at=0, points=()).ends_at is None
    assert IntensitySeries(info=INFO, fetched_at=0, points=points).steps.mean(5, 15) == 250


def test_a_label_says_what_the_numbers_mean():
    assert INFO.label == "recorded: DE, average, production, lifecycle CO2eq"
    noted = SeriesInfo(
        provider="p", zone="GB", kind="marginal", basis="consumption", gas="CO2", scope="direct",
        note="replay",
    )  # fmt: skip
    assert noted.label == "p: GB, marginal, consumption, direct CO2 (replay)"
