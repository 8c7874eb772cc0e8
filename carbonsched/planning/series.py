"""A forecast as prefix sums, so that the mean over any window is two look-ups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from carbonsched.model.intensity import Forecast, Point

Integers = npt.NDArray[np.int64]

_DAY_S = 86_400

BRIDGED_S = 3600
"""The longest gap that is bridged: one row of an hourly forecast, twelve of one in 5 minutes.

Grids hardly turn within an hour, and a row that is missing is no reason to forget the day behind
it. A longer gap may hide a night.
"""


class Cumulative:
    """The integral of a forecast from ``start_at`` to any instant before ``end_at``, exact.

    Only the stretch that begins at ``start_at`` counts: what lies behind a gap of more than
    ``BRIDGED_S`` is not known well enough to plan on. A shorter one has the mean of its neighbours,
    before the first period that of the first. Values are mg/kWh x seconds in 64-bit integers: a
    century at 2,000 g/kWh is below 7e15, far from overflow. Behind ``end_at`` the last day of the
    stretch is repeated, or all of a shorter one.
    """

    __slots__ = ("_rates", "_starts", "_sums", "end_at", "start_at")

    def __init__(self, forecast: Forecast, start_at: int) -> None:
        known = list(_stretch(forecast.points, start_at))
        starts = [at for at, _, _ in known]
        rates = [mg_per_kwh for _, _, mg_per_kwh in known]
        reached = known[-1][1] if known else start_at
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
        """The integral from ``start_at`` to each instant from there on."""
        if not self._starts.size:
            return np.zeros_like(instants)
        over = np.maximum(instants - self.end_at, 0)
        if not over.any():
            return self._known_upto(instants)
        period_s = min(_DAY_S, self.end_at - self.start_at)
        times, rest_s = np.divmod(over, period_s)
        from_at = self.end_at - period_s
        whole, before = self._known_upto(np.array([self.end_at, from_at], dtype=np.int64))
        repeated = times * (whole - before) + self._known_upto(from_at + rest_s) - before
        result: Integers = self._known_upto(np.minimum(instants, self.end_at)) + repeated
        return result

    def _known_upto(self, instants: Integers) -> Integers:
        index = np.searchsorted(self._starts, instants, side="right") - 1
        result: Integers = self._sums[index] + self._rates[index] * (instants - self._starts[index])
        return result

    def windows(self, starts: Integers, duration_s: int) -> Integers:
        """The integral over ``[start, start + duration_s)`` for each start."""
        return self.upto(starts + duration_s) - self.upto(starts)


def _stretch(points: Iterable[Point], start_at: int) -> Iterator[tuple[int, int, int]]:
    """Start, end and mg/kWh of what is known from ``start_at`` on, short gaps bridged."""
    reached = start_at
    before: Point | None = None
    for point in points:
        if point.start_at > reached:
            if point.start_at - (before.end_at if before else reached) > BRIDGED_S:
                return
            first = before or point
            yield reached, point.start_at, (first.mg_per_kwh + point.mg_per_kwh) // 2
            reached = point.start_at
        if point.end_at > reached:
            yield reached, point.end_at, point.mg_per_kwh
            reached = point.end_at
        before = point
