"""Intensities and forecasts as they were told, with every revision and issue time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.issues import IssueTable
from carbonsched.ledger.series import SeriesTable, info_of
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

_EVER = 2**62


@dataclass(frozen=True, slots=True)
class Told:
    """One word on one period: by whom, and when it was fetched."""

    info: SeriesInfo
    point: Point
    fetched_at: int


class Archive:
    """The ``series``, ``intensities`` and ``forecasts`` tables.

    Nothing told is ever overwritten: a revision is another row, and what was known at an earlier
    time can be asked for. Of actual values nothing is ever removed, for charges rest on them.
    """

    def __init__(self, file: LedgerFile) -> None:
        self._file = file
        self._series = SeriesTable(file)
        self.issues = IssueTable(file, self._series)

    def add_actual(self, series: IntensitySeries) -> int:
        """Keep points that are new or revised; returns how many were."""
        return len(self.keep(series))

    def keep(self, series: IntensitySeries) -> tuple[Point, ...]:
        """Keep points that are new or differ from what counted; returns those.

        An estimate never takes the place of a value that is none: a service that for an hour knows
        only its estimates takes back nothing that it settled. It is kept where there is no other.
        """
        if not series.points:
            return ()
        with self._file.transaction():
            series_id = self._series.id_of(series.info)
            first = min(point.start_at for point in series.points)
            last = max(point.end_at for point in series.points)
            counts = _latest(self._rows(series_id, first, last, _EVER))
            known = set(counts)
            told = _beside([one for one in counts if not one.estimated], series.points)
            fresh = tuple(point for point in told if point not in known)
            if not fresh:
                return ()
            identity = {"series_id": series_id, "fetched_at": series.fetched_at}
            rows = [asdict(one) | {"estimated": int(one.estimated)} | identity for one in fresh]
            self._file.replace("intensities", rows)
            self._series.reach(series_id, max(one.end_at - one.start_at for one in fresh))
        return fresh

    def actuals(
        self, zone: str, start_at: int, end_at: int, known_at: int | None = None
    ) -> list[IntensitySeries]:
        """For each source of a zone its latest word on ``[start_at, end_at)``.

        With ``known_at`` what was here by then. Points are in time order without overlap; where
        several tell of the same time, the one that was fetched last counts.
        """
        found = []
        for series in self._series.of_zone(zone):
            told = self._told(series, start_at, end_at, known_at)
            if told is not None:
                found.append(told)
        return found

    def actual_as_of(
        self, info: SeriesInfo, start_at: int, end_at: int, known_at: int | None = None
    ) -> list[IntensitySeries]:
        """As :meth:`actuals` of one source: a series for each note, its own first, then newest."""
        told = [
            self._told(series, start_at, end_at, known_at) for series in self._series.meaning(info)
        ]
        return [one for one in told if one is not None]

    def revisions(self, zone: str, start_at: int, end_at: int) -> list[Told]:
        """Every word on periods that touch the interval: by period, source and time of fetching."""
        found = []
        for series in self._series.of_zone(zone):
            info = info_of(series)
            rows = self._rows(series["id"], start_at, end_at, _EVER, series["longest_s"])
            found += [Told(info, _point(row), row["fetched_at"]) for row in rows]
        return sorted(
            found, key=lambda one: (one.point.start_at, one.info.provider, one.fetched_at)
        )

    def series(self, zone: str) -> list[SeriesInfo]:
        """Every source that told something of a zone, in the order of its first word."""
        return [info_of(row) for row in self._series.of_zone(zone)]

    def add_forecast(self, forecast: Forecast, fetched_at: int, note: str = "") -> bool:
        """Keep a forecast unless that issue is there; returns whether it was new."""
        return self.issues.add(forecast, fetched_at, note)

    def forecast(self, zone: str, now: int) -> Forecast | None:
        """The latest forecast of a zone, whoever's, that was issued and held by ``now``."""
        issue = self.issues.latest_of_zone(zone, now)
        return issue.forecast if issue else None

    def forecast_as_of(
        self, info: SeriesInfo, now: int, known_at: int | None = None
    ) -> Forecast | None:
        """One source's latest forecast issued by ``now`` and held by ``known_at`` (``now``)."""
        issue = self.issues.latest([info], now, now if known_at is None else known_at)
        return issue.forecast if issue else None

    def _told(
        self, series: dict[str, Any], start_at: int, end_at: int, known_at: int | None
    ) -> IntensitySeries | None:
        known_by = _EVER if known_at is None else known_at
        rows = self._rows(series["id"], start_at, end_at, known_by, series["longest_s"])
        if not rows:
            return None
        return IntensitySeries(
            info=info_of(series),
            fetched_at=max(row["fetched_at"] for row in rows),
            points=_latest(rows),
        )

    def _rows(
        self,
        series_id: int,
        start_at: int,
        end_at: int,
        known_at: int,
        longest_s: int | None = None,
    ) -> list[dict[str, Any]]:
        """Words on periods that touch the interval, by the time they were fetched."""
        if longest_s is None:
            found = self._file.row("SELECT longest_s FROM series WHERE id = :id", id=series_id)
            longest_s = (found or {})["longest_s"]
        return self._file.rows(
            "SELECT start_at, end_at, mg_per_kwh, estimated, fetched_at FROM intensities"
            " WHERE series_id = :series_id AND start_at > :reaching AND start_at < :end_at"
            " AND end_at > :start_at AND fetched_at <= :known_at ORDER BY fetched_at, start_at",
            series_id=series_id, start_at=start_at, end_at=end_at, known_at=known_at,
            reaching=start_at - (longest_s or 0) - 1,
        )  # fmt: skip


def _point(row: dict[str, Any]) -> Point:
    return Point(row["start_at"], row["end_at"], row["mg_per_kwh"], bool(row["estimated"]))


def _beside(measured: Sequence[Point], told: Iterable[Point]) -> Iterator[Point]:
    """What was told, of estimates the parts that no measured value covers.

    ``measured`` is in time order without overlap.
    """
    for point in told:
        if not point.estimated:
            yield point
            continue
        reached = point.start_at
        first = bisect_right(measured, reached, key=lambda one: one.end_at)
        for index in range(first, len(measured)):
            if measured[index].start_at >= point.end_at:
                break
            if measured[index].start_at > reached:
                yield replace(point, start_at=reached, end_at=measured[index].start_at)
            reached = measured[index].end_at
        if reached < point.end_at:
            yield replace(point, start_at=reached)


def _latest(rows: Iterable[dict[str, Any]]) -> tuple[Point, ...]:
    """What counts of words in the order of fetching: in time order, without overlap."""
    latest: dict[tuple[int, int], Point] = {}
    for row in rows:  # a dictionary keeps a replaced key's old place, and the place is its age
        period = (row["start_at"], row["end_at"])
        latest.pop(period, None)
        latest[period] = _point(row)
    ordered = sorted(latest.values(), key=lambda point: point.start_at)
    if all(before.end_at <= after.start_at for before, after in pairwise(ordered)):
        return tuple(ordered)
    return _without_overlap(list(latest.values()))


def _without_overlap(told: list[Point]) -> tuple[Point, ...]:
    """Each later word cuts what it covers out of the earlier ones: a source changed its periods."""
    kept: list[Point] = []
    for new in told:
        left: list[Point] = []
        for old in kept:
            if old.end_at <= new.start_at or old.start_at >= new.end_at:
                left.append(old)
                continue
            if old.start_at < new.start_at:
                left.append(Point(old.start_at, new.start_at, old.mg_per_kwh, old.estimated))
            if old.end_at > new.end_at:
                left.append(Point(new.end_at, old.end_at, old.mg_per_kwh, old.estimated))
        kept = [*left, new]
    return tuple(sorted(kept, key=lambda point: point.start_at))
