"""A forecast as prefix sums, so that the mean over any window is two look-ups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carbonsched.model.intensity import Forecast

Integers = npt.NDArray[np.int64]


class Cumulative:
    """The integral of a forecast from ``start_at`` to any instant before ``end_at``, exact.

    Only the stretch without a gap that begins at ``start_at`` counts: what lies behind a gap is
    not known well enough to plan on. Values are mg/kWh x seconds in 64-bit integers: a century at
    2,000 g/kWh is below 7e15, far from overflow.
    """

    __slots__ = ("_rates", "_starts", "_sums", "end_at", "start_at")

    def __init__(self, forecast: Forecast, start_at: int) -> None:
        starts: list[int] = []
        rates: list[int] = []
        reached = start_at
        for point in forecast.points:
            if point.end_at <= reached:
                continue
            if point.start_at > reached:
                break
            starts.append(reached)
            rates.append(point.mg_per_kwh)
            reached = point.end_at
        self.start_at = start_at
        self.end_at = reached
        self._starts: Integers = np.array(starts, dtype=np.int64)
        self._rates: Integers = np.array(rates, dtype=np.int64)
        lengths = np.diff(np.array([*starts, reached], dtype=np.int64))
        sums = np.concatenate(([0], np.cumsum(self._rates * lengths)))
        self._sums: Integers = sums.astype(np.int64)

    def covers(self, start_at: int, end_at: int) -> bool:
        """Whether the whole of ``[start_at, end_at)`` is known."""
        return self.start_at <= start_at and end_at <= self.end_at

    def upto(self, instants: Integers) -> Integers:
        """The integral from ``start_at`` to each instant; all must lie in the known stretch."""
        if not self._starts.size:
            return np.zeros_like(instants)
        index = np.searchsorted(self._starts, instants, side="right") - 1
        result: Integers = self._sums[index] + self._rates[index] * (instants - self._starts[index])
        return result

    def windows(self, starts: Integers, duration_s: int) -> Integers:
        """The integral over ``[start, start + duration_s)`` for each start."""
        return self.upto(starts + duration_s) - self.upto(starts)
