"""What the archive holds as tables and as CSV that can be read in again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypedDict

from carbonsched.model.intensity import Forecast, IntensitySeries
from carbonsched.reports.fields import Field
from carbonsched.reports.moments import stamp, when

ACTUAL_COLUMNS = ("zone", "provider", "start", "end", "g_per_kwh", "estimated")
FORECAST_COLUMNS = (
    "zone", "provider", "issued", "fetched", "start", "end", "g_per_kwh", "low", "high",
)  # fmt: skip
Text = dict[str, str]


class HistoryRow(TypedDict):
    """One word on one period; ``revision`` counts its source's words on it from 1.

    ``latest`` is the source's last word: what counts, if the source does.
    """

    zone: str
    provider: str
    series: str
    start_at: int
    end_at: int
    g_per_kwh: float
    estimated: bool
    fetched_at: int
    revision: int
    latest: bool


HISTORY: tuple[Field[HistoryRow], ...] = (
    Field(name="Zone", title="ZONE", raw_name="Zone", floor=4,
          shown=lambda row, _: row["zone"], raw=lambda row, _: row["zone"]),
    Field(name="Start", title="START", raw_name="Start",
          shown=lambda row, now: when(row["start_at"], now),
          raw=lambda row, _: stamp(row["start_at"])),
    Field(name="End", title="END", raw_name="End",
          shown=lambda row, now: when(row["end_at"], now), raw=lambda row, _: stamp(row["end_at"])),
    Field(name="Intensity", title="G/KWH", raw_name="g_per_kWh", right=True,
          shown=lambda row, _: f"{row['g_per_kwh']:.1f}", raw=lambda row, _: row["g_per_kwh"]),
    Field(name="Estimated", title="EST", raw_name="Estimated",
          shown=lambda row, _: "est" if row["estimated"] else "",
          raw=lambda row, _: int(row["estimated"])),
    Field(name="Revision", title="REV", raw_name="Revision", right=True,
          shown=lambda row, _: f"{row['revision']}{'' if row['latest'] else ' old'}",
          raw=lambda row, _: row["revision"]),
    Field(name="Latest", title="LATEST", raw_name="Latest",
          shown=lambda row, _: "yes" if row["latest"] else "no",
          raw=lambda row, _: int(row["latest"])),
    Field(name="Fetched", title="FETCHED", raw_name="Fetched",
          shown=lambda row, now: when(row["fetched_at"], now),
          raw=lambda row, _: stamp(row["fetched_at"])),
    Field(name="Provider", title="PROVIDER", raw_name="Provider", floor=6,
          shown=lambda row, _: row["provider"], raw=lambda row, _: row["provider"]),
    Field(name="Series", title="SERIES", raw_name="Series", floor=10,
          shown=lambda row, _: row["series"], raw=lambda row, _: row["series"]),
)  # fmt: skip
HISTORY_DEFAULT = "Start,End,Intensity,Estimated,Revision,Fetched,Provider"


def actual_texts(series: Iterable[IntensitySeries]) -> Iterator[Text]:
    """Actual values as cells, exact to the milligram."""
    for one in series:
        for point in one.points:
            yield {
                "zone": one.info.zone,
                "provider": one.info.provider,
                "start": _utc(point.start_at),
                "end": _utc(point.end_at),
                "g_per_kwh": _grams(point.mg_per_kwh),
                "estimated": "true" if point.estimated else "false",
            }


def forecast_texts(issues: Iterable[tuple[Forecast, int]]) -> Iterator[Text]:
    """Forecasts, each with when it was fetched, as cells."""
    for forecast, fetched_at in issues:
        for index, point in enumerate(forecast.points):
            low, high = forecast.band[index] if forecast.band else (None, None)
            yield {
                "zone": forecast.info.zone,
                "provider": forecast.info.provider,
                "issued": _utc(forecast.issued_at),
                "fetched": _utc(fetched_at),
                "start": _utc(point.start_at),
                "end": _utc(point.end_at),
                "g_per_kwh": _grams(point.mg_per_kwh),
                "low": "" if low is None else _grams(low),
                "high": "" if high is None else _grams(high),
            }


def _utc(at: int) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _grams(mg_per_kwh: int) -> str:
    return str(Decimal(mg_per_kwh) / 1000)
