"""What is packed comes out again, whatever it is."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.ledger.packing import columns, pack, unpack
from carbonsched.model.intensity import Point

rows = st.lists(
    st.tuples(
        st.integers(0, 10_000), st.integers(1, 100_000), st.integers(0, 2**40), st.booleans(),
        st.integers(0, 2**30), st.integers(0, 2**30),
    ),
    max_size=60,
)  # fmt: skip


@given(rows, st.integers(0, 2**33), st.booleans())
def test_points_and_band_come_out_as_they_went_in(rows, start_at, banded):
    points, band = [], []
    for gap, length, mg, estimated, below, above in rows:
        start_at += gap
        points.append(Point(start_at, start_at + length, mg, estimated))
        band.append((max(0, mg - below), mg + above))
        start_at += length
    given_band = tuple(band) if banded else None
    packed = pack(tuple(points), given_band)
    assert unpack(packed) == (tuple(points), given_band)
    if points:
        last = len(points) // 2
        later, later_band = unpack(packed, points[last].start_at)
        assert later == tuple(points[last:])
        assert later_band == (tuple(band[last:]) if banded else None)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form 9"):
        columns(struct.pack("<BBIq", 9, 0, 0, 0))


def test_a_usual_issue_is_small():
    points = tuple(
        Point(hour * 3600, hour * 3600 + 3600, 300_000 + hour * 977 % 90_000) for hour in range(96)
    )
    assert len(pack(points, None)) < 500
