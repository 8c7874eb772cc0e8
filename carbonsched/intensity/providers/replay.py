"""A record replayed as if it happened now, faster than life.

Recorded time r becomes wall time w = begin + (r - start) x hour_s / 3600, rounded down to whole
seconds. One map for everything keeps order, touching periods touching, and issue times before
what they foretell; nothing else in the system knows that it is a replay.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

from carbonsched.errors import ProviderRefusedError
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.intensity.records import Record, RecordSource
    from carbonsched.ports import Clock

_HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Restamp:
    """The map from recorded to wall time: ``start_at`` becomes ``begin_at``."""

    start_at: int
    begin_at: int
    hour_s: Fraction

    def __post_init__(self) -> None:
        if self.hour_s < 1:
            raise ValueError("a recorded hour lasts at least one second: raise hour_s")

    def at(self, recorded_at: int) -> int:
        """The wall time of a recorded time, in whole seconds."""
        return self.begin_at + floor((recorded_at - self.start_at) * self.hour_s / _HOUR_S)

    def point(self, point: Point) -> Point:
        """The same value over the restamped period."""
        return Point(self.at(point.start_at), self.at(point.end_at), point.mg_per_kwh)

    def fits(self, point: Point) -> bool:
        """Whether the period lasts at least a second of wall time, so that it cannot vanish."""
        return (point.end_at - point.start_at) * self.hour_s >= _HOUR_S


class ReplayProvider:
    """A provider whose past and forecasts are those of a record, restamped."""

    def __init__(
        self,
        *,
        info: SeriesInfo,
        records: RecordSource,
        restamp: Restamp,
        lag_s: int,
        clock: Clock,
    ) -> None:
        """``lag_s`` is how long after its period a value appears, in recorded seconds."""
        self._info = info
        self._records = records
        self._restamp = restamp
        self._lag_s = ceil(lag_s * restamp.hour_s / _HOUR_S)
        self._clock = clock
        self._checked: Record | None = None

    @property
    def info(self) -> SeriesInfo:
        """What its numbers mean; the note says that it is a replay."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The restamped periods that touch the interval, are over, and lie ``lag_s`` back."""
        recorded = self._record().actual
        wall = self._restamp.at
        now = self._clock.now()
        known = bisect_right(recorded, now - self._lag_s, key=lambda point: wall(point.end_at))
        first = bisect_right(recorded, start_at, key=lambda point: wall(point.end_at))
        last = bisect_left(recorded, end_at, key=lambda point: wall(point.start_at))
        chosen = recorded[first : min(known, last)]
        points = tuple(self._restamp.point(point) for point in chosen)
        return IntensitySeries(info=self._info, fetched_at=now, points=points)

    def forecast(self, now: int) -> Forecast | None:
        """The latest forecast whose restamped issue is past."""
        issues = self._record().issues
        index = bisect_right(issues, now, key=lambda issue: self._restamp.at(issue.issued_at))
        if index == 0:
            return None
        issue = issues[index - 1]
        return Forecast(
            info=self._info,
            issued_at=self._restamp.at(issue.issued_at),
            points=tuple(self._restamp.point(point) for point in issue.points),
        )

    def _record(self) -> Record:
        record = self._records.read()
        if record is not self._checked:
            self._check(record)
            self._checked = record
        return record

    def _check(self, record: Record) -> None:
        name = self._info.provider
        points = record.actual
        start_at = self._restamp.start_at
        if not points or not points[0].start_at <= start_at < points[-1].end_at:
            raise ProviderRefusedError(
                f"{name}: the replay's start lies outside the record: choose another start"
            )
        everything = (points, *(issue.points for issue in record.issues))
        if not all(self._restamp.fits(point) for series in everything for point in series):
            raise ProviderRefusedError(
                f"{name}: a recorded period would last less than a second: raise hour_s"
            )


def replay_note(zone: str, start_at: int, hour_s: float) -> str:
    """The words beside every figure: ``replay of DE 2021, one recorded hour each 10 s``."""
    year = datetime.fromtimestamp(start_at, tz=UTC).year
    return f"replay of {zone} {year}, one recorded hour each {hour_s:g} s"
