"""The count of CPUs that are spoken for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.planning.capacity import Room

SLOT_S = 900
NOW = 1_700_000_100  # within a slot
SLOTS = 40
FIRST_AT = NOW // SLOT_S * SLOT_S

held = st.lists(
    st.tuples(st.integers(0, SLOTS * SLOT_S), st.integers(1, 12 * SLOT_S), st.integers(1, 6)),
    max_size=12,
)


@given(held, st.integers(0, 8 * SLOT_S), st.integers(1, 50 * SLOT_S), st.integers(1, 8))
def test_the_first_room_is_the_first_of_all_starts_that_fit(held, later_s, lasts_s, cpus):
    room = Room(8, NOW, FIRST_AT + SLOTS * SLOT_S, SLOT_S)
    for after_s, length_s, some in held:
        room.take(NOW + after_s, length_s, some)
    from_at = NOW + later_s
    boundaries = FIRST_AT + SLOT_S * np.arange(SLOTS)
    starts = np.concatenate(([from_at], boundaries[boundaries > from_at]))
    fitting = starts[room.fits(starts, lasts_s, cpus)]
    assert room.first_fit(from_at, lasts_s, cpus) == (int(fitting[0]) if fitting.size else None)


def test_a_room_that_is_held_for_ever_has_none():
    room = Room(8, NOW, FIRST_AT + SLOTS * SLOT_S, SLOT_S)
    room.hold(NOW, None, 5)
    assert room.first_fit(NOW, SLOT_S, 3) == NOW
    assert room.first_fit(NOW, SLOT_S, 4) is None
    assert room.first_fit(FIRST_AT + SLOTS * SLOT_S, SLOT_S, 1) is None
