"""When the steps of an epoch ended: as much as the shares of its parts need, however many."""

from __future__ import annotations

import math
import time

MOST_KEPT = 80
"""So many step ends are not kept: every second one goes, and only every second one comes."""
MOST_PARTS = 20


class StepTimes:
    """The steps of one epoch, by a steady clock from the moment at which it is made."""

    __slots__ = ("_began", "_ends", "_last", "_m2", "_mean", "_next_kept", "_stride", "count")

    def __init__(self) -> None:
        self.count = 0
        self._began = self._last = time.perf_counter()
        self._mean = self._m2 = 0.0
        self._ends: list[float] = []
        self._stride = self._next_kept = 1

    def step(self) -> None:
        """A step has ended now."""
        now = time.perf_counter()
        length_s = now - self._last
        self._last = now
        count = self.count = self.count + 1
        difference = length_s - self._mean
        self._mean += difference / count
        self._m2 += difference * (length_s - self._mean)
        if count == self._next_kept:
            self._keep(now)

    def spread(self) -> tuple[float, float | None]:
        """Mean and standard deviation of the steps' lengths, in seconds; the latter of two."""
        count = self.count
        return self._mean, math.sqrt(self._m2 / (count - 1)) if count > 1 else None

    def part_ends_us(self) -> list[int]:
        """When each of up to 20 parts of equal numbers of steps ended, from the epoch's start.

        The last one ends now: what follows the last step is of the last part. An end between two
        kept ones is interpolated.
        """
        now, count, stride = time.perf_counter(), self.count, self._stride
        parts = min(MOST_PARTS, count)
        # Each ``stride`` steps apart, but for the last one.
        ends = [self._began, *self._ends, self._last]
        last = len(ends) - 2
        rest = count - last * stride
        told = []
        for part in range(1, parts):
            steps = count * part / parts
            before = min(int(steps / stride), last)
            length = stride if before < last else rest
            share = (steps - before * stride) / length if length else 0.0
            end = ends[before] + (ends[before + 1] - ends[before]) * share
            told.append(round((end - self._began) * 1e6))
        if parts:
            told.append(round((now - self._began) * 1e6))
        return told

    def _keep(self, now: float) -> None:
        self._ends.append(now)
        if len(self._ends) == MOST_KEPT:
            self._ends = self._ends[1::2]
            self._stride *= 2
        self._next_kept += self._stride
