"""Carbon intensity of a grid zone over time, with where it came from."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesInfo:
    """What a number in a series means; none of it can be inferred from the number later.

    ``note`` is the provider's own words that belong beside every figure made from the series, such
    as ``replay of 2021, 360 times faster`` or ``annual average, last resort``.
    """

    provider: str
    zone: str
    kind: Literal["average", "marginal"] = "average"
    basis: Literal["production", "consumption"] = "production"
    gas: Literal["CO2", "CO2eq"] = "CO2eq"
    scope: Literal["direct", "lifecycle"] = "lifecycle"
    static: bool = False
    note: str = ""

    @property
    def label(self) -> str:
        """One line of provenance for people."""
        words = f"{self.provider}: {self.zone}, {self.kind}, {self.basis}, {self.scope} {self.gas}"
        return f"{words} ({self.note})" if self.note else words


@dataclass(frozen=True, slots=True)
class Point:
    """Intensity over ``[start_at, end_at)`` in whole milligrams per kilowatt-hour.

    ``estimated`` is the provider's own flag for this row: a figure it expects to replace.
    """

    start_at: int
    end_at: int
    mg_per_kwh: int
    estimated: bool = False

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise ValueError("an intensity period ends after it starts")
        if self.mg_per_kwh < 0:
            raise ValueError("an intensity is not negative")


class StepSeries:
    """Points in time order without overlap, for exact means over any interval they cover."""

    __slots__ = ("_starts", "points")

    def __init__(self, points: tuple[Point, ...]) -> None:
        for before, after in pairwise(points):
            if after.start_at < before.end_at:
                raise ValueError(f"intensity periods overlap or are unordered at {after.start_at}")
        self.points = points
        self._starts = [point.start_at for point in points]

    def at(self, instant: int) -> Point | None:
        """The period that holds the instant, or ``None``."""
        index = bisect_right(self._starts, instant) - 1
        if index < 0 or self.points[index].end_at <= instant:
            return None
        return self.points[index]

    def mean(self, start_at: int, end_at: int) -> Fraction | None:
        """The exact time-weighted mean in mg/kWh over ``[start_at, end_at)``.

        ``None`` unless the series covers the whole interval: a gap is missing, not zero.
        """
        if end_at <= start_at:
            raise ValueError("the interval is empty")
        total = 0
        reached = start_at
        index = bisect_right(self._starts, start_at) - 1
        for point in self.points[max(index, 0) :]:
            if point.end_at <= reached:
                continue
            if point.start_at > reached:
                return None
            until = min(point.end_at, end_at)
            total += point.mg_per_kwh * (until - reached)
            reached = until
            if reached == end_at:
                return Fraction(total, end_at - start_at)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntensitySeries:
    """What happened, as one provider told at ``fetched_at``.

    ``incomplete`` says why it may know more than it told, such as settled values that could not be
    had; it is asked again sooner then.
    """

    info: SeriesInfo
    fetched_at: int
    points: tuple[Point, ...]
    incomplete: str = ""

    @property
    def steps(self) -> StepSeries:
        """The points, for means."""
        return StepSeries(self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one provider expected at ``issued_at``; usable only from then on.

    ``band`` is the interval that should hold 80 % of outcomes: one ``(low, high)`` in mg/kWh per
    point, ``None`` where the provider gives none.
    """

    info: SeriesInfo
    issued_at: int
    points: tuple[Point, ...]
    band: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        if self.band is None:
            return
        if len(self.band) != len(self.points):
            raise ValueError("a forecast's band has one interval for each point")
        if any(not 0 <= low <= high for low, high in self.band):
            raise ValueError("a forecast's interval goes from low to high, none negative")

    @property
    def steps(self) -> StepSeries:
        """The points, for means."""
        return StepSeries(self.points)

    @property
    def ends_at(self) -> int | None:
        """Where the horizon that was really received ends."""
        return self.points[-1].end_at if self.points else None
