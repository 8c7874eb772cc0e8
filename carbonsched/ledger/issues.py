"""Forecasts as they were issued, each kept with the time from which it was known here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.packing import Columns, columns, pack, unpack
from carbonsched.ledger.series import SeriesTable, info_of
from carbonsched.model.intensity import Forecast, SeriesInfo

_NEWEST = " ORDER BY issued_at DESC, forecasts.id DESC LIMIT 1"
_FORECAST = (
    "SELECT series.*, issued_at, fetched_at, first_at, forecasts.note AS issue_note,"
    " COALESCE(points, (SELECT held.points FROM forecasts AS held"
    "                   WHERE held.id = forecasts.same_as)) AS points"
    " FROM forecasts JOIN series ON series.id = series_id"
)


@dataclass(frozen=True, slots=True)
class Issue:
    """A forecast and when it was fetched: before that nobody here knew it."""

    forecast: Forecast
    fetched_at: int


@dataclass(frozen=True, slots=True)
class IssueColumns:
    """An issue for reckoning: starts, ends and mg/kWh as arrays of 64-bit integers."""

    issued_at: int
    starts: Columns
    ends: Columns
    mg_per_kwh: Columns


class IssueTable:
    """The ``forecasts`` table.

    An issue that only repeats the end of the one before it, as those of services without an issue
    time do every few minutes, refers to it instead of holding its points again.
    """

    def __init__(self, file: LedgerFile, series: SeriesTable) -> None:
        self._file = file
        self._series = series

    def add(self, forecast: Forecast, fetched_at: int, note: str = "") -> bool:
        """Keep a forecast unless that issue is there; returns whether it was new.

        ``note`` is about this issue alone, such as what it was made from.
        """
        with self._file.transaction():
            series_id = self._series.id_of(forecast.info)
            row: dict[str, Any] = {
                "series_id": series_id,
                "issued_at": forecast.issued_at,
                "fetched_at": fetched_at,
                "note": note,
                "first_at": forecast.points[0].start_at if forecast.points else 0,
            }
            same_as = self._repeated(series_id, forecast)
            row["same_as"] = same_as
            row["points"] = None if same_as else pack(forecast.points, forecast.band)
            return bool(self._file.insert_new("forecasts", [row]))

    def latest(self, infos: Sequence[SeriesInfo], now: int, known_at: int) -> Issue | None:
        """The newest issue by ``now`` of any of these sources that was here by ``known_at``.

        Of two issued at once the one of the earlier source counts.
        """
        found: dict[str, Any] | None = None
        for info in infos:
            for series in self._series.meaning(info):
                row = self._file.row(
                    f"{_FORECAST} WHERE series_id = :series_id AND issued_at <= :now"
                    f" AND fetched_at <= :known_at {_NEWEST}",
                    series_id=series["id"], now=now, known_at=known_at,
                )  # fmt: skip
                if row and (found is None or row["issued_at"] > found["issued_at"]):
                    found = row
        return _issue(found) if found else None

    def latest_of_zone(self, zone: str, now: int) -> Issue | None:
        """The newest issue of a zone, whoever's it is, that was here by ``now``."""
        infos = [info_of(row) for row in self._series.of_zone(zone)]
        return self.latest(infos, now, now)

    def between(self, info: SeriesInfo, start_at: int, end_at: int) -> Iterator[Issue]:
        """A source's issues of ``[start_at, end_at)`` in the order of issue."""
        for row in self._rows(info, start_at, end_at):
            yield _issue(row)

    def newest_by(
        self, info: SeriesInfo, now: int, every_s: int, count: int
    ) -> Iterator[IssueColumns]:
        """The newest issue in each of ``count`` stretches of ``every_s`` that end at ``now``.

        In the order of issue, as arrays, for reckoning with many.
        """
        ids = self._ids(info)
        rows = self._file.rows(
            f"{_FORECAST} WHERE forecasts.id IN (SELECT id FROM"
            f" (SELECT id, MAX(issued_at) FROM forecasts WHERE series_id IN ({ids})"
            "  AND issued_at > :since_at AND issued_at <= :now"
            "  GROUP BY (:now - issued_at) / :every_s)) ORDER BY issued_at, forecasts.id",
            since_at=now - every_s * count, now=now, every_s=every_s,
        )  # fmt: skip
        for row in rows:
            starts, ends, mg_per_kwh, _, _ = columns(row["points"])
            since = int(starts.searchsorted(row["first_at"]))
            yield IssueColumns(row["issued_at"], starts[since:], ends[since:], mg_per_kwh[since:])

    def thin(self, since_at: int, before_at: int, every_s: int) -> int:
        """Of the issues of ``[since_at, before_at)`` keep the first in each ``every_s``.

        Those that a plan rests on stay, and those that another refers to. Returns how many went.
        """
        return self._file.change(
            "DELETE FROM forecasts WHERE issued_at >= :since_at AND issued_at < :before_at"
            " AND id NOT IN (SELECT id FROM (SELECT id, MIN(issued_at) FROM forecasts"
            "   WHERE issued_at >= :since_at AND issued_at < :before_at"
            "   GROUP BY series_id, issued_at / :every_s))"
            " AND issued_at NOT IN (SELECT forecast_issued_at FROM plans"
            "   WHERE forecast_issued_at IS NOT NULL)"
            " AND id NOT IN (SELECT same_as FROM forecasts WHERE same_as IS NOT NULL)",
            since_at=since_at, before_at=before_at, every_s=every_s,
        )  # fmt: skip

    def _rows(self, info: SeriesInfo, start_at: int, end_at: int) -> list[dict[str, Any]]:
        ids = self._ids(info)
        return self._file.rows(
            f"{_FORECAST} WHERE series_id IN ({ids}) AND issued_at >= :start_at"
            " AND issued_at < :end_at ORDER BY issued_at, forecasts.id",
            start_at=start_at, end_at=end_at,
        )  # fmt: skip

    def _ids(self, info: SeriesInfo) -> str:
        return ", ".join(str(int(row["id"])) for row in self._series.meaning(info))

    def _repeated(self, series_id: int, forecast: Forecast) -> int | None:
        """The issue that holds these points as its end, if it is the one just before."""
        row = self._file.row(
            "SELECT id, same_as FROM forecasts WHERE series_id = :series_id"
            " AND issued_at < :issued_at ORDER BY issued_at DESC LIMIT 1",
            series_id=series_id, issued_at=forecast.issued_at,
        )  # fmt: skip
        if row is None or not forecast.points:
            return None
        holder = int(row["same_as"] or row["id"])
        held = self._file.row("SELECT points FROM forecasts WHERE id = :id", id=holder)
        points, band = unpack((held or {})["points"], forecast.points[0].start_at)
        return holder if (points, band) == (forecast.points, forecast.band) else None


def _issue(row: dict[str, Any]) -> Issue:
    info = info_of(row)
    if row["issue_note"]:
        info = replace(info, note="; ".join(one for one in (info.note, row["issue_note"]) if one))
    points, band = unpack(row["points"], row["first_at"])
    forecast = Forecast(info=info, issued_at=row["issued_at"], points=points, band=band)
    return Issue(forecast, row["fetched_at"])
