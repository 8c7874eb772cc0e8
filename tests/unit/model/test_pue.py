from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.pue import PuePoint, latest_told


@pytest.mark.parametrize(
    ("start_at", "end_at", "ppm"), [(0, 0, 10**6), (0, 9, 999_999), (0, 9, 3_000_001)]
)
def test_what_cannot_be_a_pue_is_refused(start_at, end_at, ppm):
    with pytest.raises(ValueError, match="PUE"):
        PuePoint(start_at, end_at, ppm)


def test_of_several_that_tell_of_the_same_time_the_last_fetched_counts():
    month = PuePoint(0, 100, 1_300_000, "file")
    early, late = PuePoint(20, 40, 1_200_000, "p"), PuePoint(30, 60, 1_250_000, "p")
    assert latest_told([(1, month), (2, early), (3, late)]) == (
        PuePoint(0, 20, 1_300_000, "file"),
        PuePoint(20, 30, 1_200_000, "p"),
        PuePoint(30, 60, 1_250_000, "p"),
        PuePoint(60, 100, 1_300_000, "file"),
    )
    assert latest_told([(2, early), (9, month), (3, late)]) == (month,)
    assert latest_told([]) == ()


points = st.tuples(
    st.integers(0, 5), st.integers(0, 30), st.integers(1, 10), st.sampled_from([1, 2, 3])
).map(lambda row: (row[0], PuePoint(row[1], row[1] + row[2], row[3] * 10**6)))


@given(st.lists(points, max_size=15))
def test_each_second_has_the_value_of_the_last_fetch_that_tells_of_it(told):
    pieces = latest_told(told)
    assert all(one.end_at <= two.start_at for one, two in pairwise(pieces))
    for at in range(45):
        wanted = None
        for fetched_at in range(6):
            for one_fetched_at, point in told:
                if one_fetched_at == fetched_at and point.start_at <= at < point.end_at:
                    wanted = point.pue_ppm
        found = [piece.pue_ppm for piece in pieces if piece.start_at <= at < piece.end_at]
        assert found == ([] if wanted is None else [wanted])
