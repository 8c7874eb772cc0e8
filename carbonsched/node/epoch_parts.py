"""What the parts of an epoch took: its energy by time, and the ends of its steps by the job."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from carbonsched.model.epoch import MOST_PARTS, EpochPart

MOST_POINTS = 64
"""Points of a course; at so many, every second one goes, and only every second one comes."""
_NS_PER_MS = 1_000_000
_NS_PER_US = 1000
_UJ_PER_MILLIJ = 1000
_TOLERANCE_NS = 2 * _NS_PER_MS


class Course:
    """The energy of an open epoch over its time, in at most 64 points however long it lasts.

    Between two points the power is taken as even.
    """

    def __init__(self) -> None:
        self._points: list[tuple[int, int]] = []
        self._stride = 1
        self._left_out = 0

    def add(self, ns: int, uj: int) -> None:
        """By ``ns`` after its start the epoch had used ``uj``."""
        while self._points and self._points[-1][0] >= ns:
            self._points.pop()  # the clock was set back
        if ns <= 0:
            return
        if self._points:
            uj = max(uj, self._points[-1][1])
        self._left_out += 1
        if self._left_out < self._stride:
            return
        self._left_out = 0
        self._points.append((ns, uj))
        if len(self._points) == MOST_POINTS:
            self._points = self._points[1::2]
            self._stride *= 2

    def divide(
        self, ends_us: Sequence[int], duration_ns: int, energy_uj: int
    ) -> tuple[EpochPart, ...]:
        """The parts of an epoch that ended ``duration_ns`` after its start with ``energy_uj``.

        ``ends_us`` says when each part ended by the clock of who marked the end; the last one is
        the epoch's own end, so all are counted from there. They add up to the epoch's milliseconds
        and millijoules, both rounded down. None where the ends make no sense.
        """
        total_ns = ends_us[-1] * _NS_PER_US if ends_us else 0
        in_order = all(earlier <= later for earlier, later in pairwise((0, *ends_us)))
        too_long = total_ns > duration_ns + _TOLERANCE_NS + duration_ns // 100
        if not ends_us or len(ends_us) > MOST_PARTS or not in_order or too_long:
            return ()
        course = [(0, 0), *(one for one in self._points if one[0] < duration_ns)]
        course.append((duration_ns, max(0, energy_uj)))
        times = [max(0, duration_ns - total_ns + end * _NS_PER_US) for end in ends_us]
        times_ms = [0, *(time // _NS_PER_MS for time in times)]
        sums_millij = [0, *(_energy_at(course, time) // _UJ_PER_MILLIJ for time in times)]
        return tuple(
            EpochPart(duration_ms=end - begin, energy_millij=after - before)
            for (begin, end), (before, after) in zip(
                pairwise(times_ms), pairwise(sums_millij), strict=True
            )
        )

    def to_state(self) -> dict[str, Any]:
        """For ``state.json``."""
        return {"points": self._points, "stride": self._stride, "left_out": self._left_out}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Course:
        """As ``to_state`` said.

        Raises:
            ValueError, KeyError, TypeError: it is not such a state.
        """
        course = cls()
        course._points = [(int(ns), int(uj)) for ns, uj in state["points"]]
        course._stride, course._left_out = int(state["stride"]), int(state["left_out"])
        return course


def _energy_at(course: Sequence[tuple[int, int]], ns: int) -> int:
    """Microjoules by ``ns``, never more than in the end."""
    after = min(bisect_left(course, (ns, 0)), len(course) - 1)
    if after == 0:
        return 0
    (begin_ns, begin_uj), (end_ns, end_uj) = course[after - 1], course[after]
    length_ns = end_ns - begin_ns
    passed_ns = min(ns - begin_ns, length_ns)
    uj = begin_uj + (end_uj - begin_uj) * passed_ns // length_ns
    return min(max(uj, 0), course[-1][1])
