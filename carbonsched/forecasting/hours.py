"""Series on whole hours, and the way to them from the model's exact points and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carbonsched.model.intensity import Point

Floats = npt.NDArray[np.float64]

HOUR_S = 3600
_MG_PER_G = 1000


@dataclass(frozen=True, slots=True)
class Hourly:
    """Means in g/kWh over consecutive hours from ``start_at`` on; NaN is missing."""

    start_at: int
    values: Floats

    def __post_init__(self) -> None:
        if self.start_at % HOUR_S:
            raise ValueError("an hourly series starts on a whole hour")

    def between(self, start_at: int, end_at: int) -> Floats:
        """The hours of ``[start_at, end_at)``, NaN where the series has none."""
        count = max(0, (end_at - start_at) // HOUR_S)
        found = np.full(count, np.nan)
        offset = (start_at - self.start_at) // HOUR_S
        first, last = max(0, offset), min(len(self.values), offset + count)
        if last > first:
            found[first - offset : last - offset] = self.values[first:last]
        return found


@dataclass(frozen=True, slots=True)
class HourlyIssue:
    """What a provider expected when it issued this forecast; usable from ``issued_at`` on."""

    issued_at: int
    hours: Hourly


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyForecast:
    """What is expected from the hour of ``issued_at`` on.

    ``mean`` is the geometric mean in g/kWh, near the median: half of the hours come out higher.
    ``low`` and ``high`` bound the interval that should hold 80 % of the hours. ``inputs`` says in
    words what the forecast rests on, and what was missing.
    """

    issued_at: int
    start_at: int
    mean: Floats
    low: Floats
    high: Floats
    inputs: tuple[str, ...]

    def points(self) -> tuple[tuple[Point, ...], tuple[tuple[int, int], ...]]:
        """The model's points in mg/kWh, and for each the ends of its interval."""
        points = tuple(
            Point(self.start_at + index * HOUR_S, self.start_at + (index + 1) * HOUR_S, _mg(value))
            for index, value in enumerate(self.mean)
        )
        band = tuple((_mg(low), _mg(high)) for low, high in zip(self.low, self.high, strict=True))
        return points, band


def hourly(points: Iterable[Point], start_at: int, end_at: int) -> Hourly:
    """Points in time order as hourly means over ``[start_at, end_at)``, cut to whole hours.

    An hour that the points do not cover entirely is missing.
    """
    first = -(-start_at // HOUR_S)
    count = max(0, end_at // HOUR_S - first)
    sums = np.zeros(count)
    covered = np.zeros(count, dtype=np.int64)
    for point in points:
        at = max(point.start_at, first * HOUR_S)
        until = min(point.end_at, (first + count) * HOUR_S)
        while at < until:
            hour = at // HOUR_S
            leaves = min(until, (hour + 1) * HOUR_S)
            sums[hour - first] += point.mg_per_kwh * (leaves - at)
            covered[hour - first] += leaves - at
            at = leaves
    means = np.where(covered == HOUR_S, sums / (HOUR_S * _MG_PER_G), np.nan)
    return Hourly(first * HOUR_S, means)


def issue(issued_at: int, points: Iterable[Point]) -> HourlyIssue:
    """A provider's forecast on whole hours."""
    kept = tuple(points)
    if not kept:
        return HourlyIssue(issued_at, Hourly(issued_at // HOUR_S * HOUR_S, np.empty(0)))
    return HourlyIssue(issued_at, hourly(kept, kept[0].start_at, kept[-1].end_at))


def _mg(g_per_kwh: float) -> int:
    return round(float(g_per_kwh) * _MG_PER_G)
