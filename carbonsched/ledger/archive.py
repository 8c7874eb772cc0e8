"""Intensities and forecasts as they were told, with every revision and issue time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

_INFO = tuple(SeriesInfo.__dataclass_fields__)


class Archive:
    """The ``series``, ``intensities``, ``forecasts`` and ``forecast_points`` tables."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def add_actual(self, series: IntensitySeries) -> int:
        """Keep points that are new or revised; returns how many were."""
        if not series.points:
            return 0
        with self._file.transaction():
            series_id = self._series_id(series.info)
            known = self._latest(series_id, series.points[0].start_at, series.points[-1].end_at)
            fresh = [point for point in series.points if known.get(point.start_at) != point]
            rows = [
                asdict(point) | {"series_id": series_id, "fetched_at": series.fetched_at}
                for point in fresh
            ]
            self._file.replace("intensities", rows)
        return len(fresh)

    def add_forecast(self, forecast: Forecast, fetched_at: int) -> bool:
        """Keep a forecast unless that issue is there; returns whether it was new."""
        with self._file.transaction():
            series_id = self._series_id(forecast.info)
            row = {
                "series_id": series_id,
                "issued_at": forecast.issued_at,
                "fetched_at": fetched_at,
            }
            if not self._file.insert_new("forecasts", [row]):
                return False
            found = self._file.row(
                "SELECT id FROM forecasts WHERE series_id = :series_id AND issued_at = :issued_at",
                series_id=series_id, issued_at=forecast.issued_at,
            )  # fmt: skip
            identity = {"forecast_id": (found or {})["id"]}
            self._file.insert("forecast_points", [asdict(p) | identity for p in forecast.points])
        return True

    def actuals(self, zone: str, start_at: int, end_at: int) -> list[IntensitySeries]:
        """For each source of a zone its latest word on ``[start_at, end_at)``."""
        found = []
        for row in self._sources(zone):
            points = self._latest(row["id"], start_at, end_at)
            if points:
                ordered = tuple(points[start] for start in sorted(points))
                fetched = self._file.row(
                    "SELECT MAX(fetched_at) AS at FROM intensities WHERE series_id = :series_id"
                    " AND start_at < :end_at AND end_at > :start_at",
                    series_id=row["id"], start_at=start_at, end_at=end_at,
                )  # fmt: skip
                found.append(
                    IntensitySeries(
                        info=_info(row), fetched_at=(fetched or {})["at"], points=ordered
                    )
                )
        return found

    def forecast(self, zone: str, now: int) -> Forecast | None:
        """The latest forecast of a zone that was issued and held by ``now``."""
        row = self._file.row(
            "SELECT series.*, forecasts.id AS forecast_id, issued_at FROM forecasts"
            " JOIN series ON series.id = series_id WHERE zone = :zone"
            " AND issued_at <= :now AND fetched_at <= :now"
            " ORDER BY issued_at DESC, forecasts.id DESC LIMIT 1",
            zone=zone, now=now,
        )  # fmt: skip
        if row is None:
            return None
        points = self._file.rows(
            "SELECT start_at, end_at, mg_per_kwh FROM forecast_points"
            " WHERE forecast_id = :forecast_id ORDER BY start_at",
            forecast_id=row["forecast_id"],
        )
        return Forecast(
            info=_info(row),
            issued_at=row["issued_at"],
            points=tuple(Point(**point) for point in points),
        )

    def _sources(self, zone: str) -> list[dict[str, Any]]:
        return self._file.rows("SELECT * FROM series WHERE zone = :zone ORDER BY id", zone=zone)

    def _latest(self, series_id: int, start_at: int, end_at: int) -> dict[int, Point]:
        rows = self._file.rows(
            "SELECT start_at, end_at, mg_per_kwh FROM intensities WHERE series_id = :series_id"
            " AND start_at < :end_at AND end_at > :start_at ORDER BY start_at, fetched_at",
            series_id=series_id, start_at=start_at, end_at=end_at,
        )  # fmt: skip
        return {row["start_at"]: Point(**row) for row in rows}

    def _series_id(self, info: SeriesInfo) -> int:
        row = asdict(info) | {"static": int(info.static)}
        self._file.insert_new("series", [row])
        where = " AND ".join(f"{name} = :{name}" for name in _INFO)
        found = self._file.row(f"SELECT id FROM series WHERE {where}", **row)
        return int((found or {})["id"])


def _info(row: dict[str, Any]) -> SeriesInfo:
    fields = {name: row[name] for name in _INFO}
    return SeriesInfo(**fields | {"static": bool(fields["static"])})
