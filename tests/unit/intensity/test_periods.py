from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.intensity.periods import (
    ContradictionError,
    ordered,
    uncovered,
    usual_step,
    without_contradictions,
)
from carbonsched.model.intensity import Point, StepSeries

points = st.lists(
    st.builds(
        lambda start, length, value: Point(start, start + length, value),
        st.integers(0, 40),
        st.integers(1, 6),
        st.integers(1, 3),
    ),
    max_size=12,
)


@given(points)
def test_what_is_left_never_overlaps_and_only_contested_points_go(given_points):
    clean, left_out = without_contradictions(given_points)
    assert StepSeries(clean).points == clean
    assert len(clean) + left_out == len(set(given_points))
    for point in set(given_points) - set(clean):
        others = set(given_points) - {point}
        assert any(o.start_at < point.end_at and point.start_at < o.end_at for o in others)
    for point in clean:
        others = set(given_points) - {point}
        assert not any(o.start_at < point.end_at and point.start_at < o.end_at for o in others)


@given(points)
def test_ordered_refuses_exactly_what_overlaps(given_points):
    clean, left_out = without_contradictions(given_points)
    if left_out:
        with pytest.raises(ContradictionError):
            ordered(given_points)
    else:
        assert ordered(given_points) == clean


@given(points, st.integers(0, 40), st.integers(1, 20))
def test_gaps_and_points_share_the_interval_second_by_second(given_points, start, length):
    gaps = uncovered(given_points, start, start + length)
    for second in range(start, start + length):
        inside = any(a <= second < b for a, b in gaps)
        assert inside != any(p.start_at <= second < p.end_at for p in given_points)


def test_the_usual_step_is_the_commonest():
    assert usual_step([[0, 60, 120, 420], [1000, 1060]]) == 60
    assert usual_step([[0, 30, 90]]) == 30
    assert usual_step([[5], []]) is None
