"""A provider that reads what somebody else writes into CSV files."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from carbonsched.model.intensity import Forecast, IntensitySeries, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.intensity.records import RecordSource
    from carbonsched.ports import Clock


class FileProvider:
    """Values and forecasts of a record, each known only from its own time on."""

    def __init__(self, *, info: SeriesInfo, records: RecordSource, clock: Clock) -> None:
        """The record is read at the first question, and again whenever it changes."""
        self._info = info
        self._records = records
        self._clock = clock

    @property
    def info(self) -> SeriesInfo:
        """What its numbers mean, as the site declared it."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The periods that touch the interval and are over."""
        now = self._clock.now()
        points = tuple(
            point
            for point in self._records.read().actual
            if point.end_at > start_at and point.start_at < end_at and point.end_at <= now
        )
        return IntensitySeries(info=self._info, fetched_at=now, points=points)

    def forecast(self, now: int) -> Forecast | None:
        """The latest forecast whose issue is past."""
        issues = self._records.read().issues
        index = bisect_right(issues, now, key=lambda issue: issue.issued_at)
        if index == 0:
            return None
        issue = issues[index - 1]
        return Forecast(info=self._info, issued_at=issue.issued_at, points=issue.points)
