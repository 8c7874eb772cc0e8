"""The tables of the Energi Data Service that are asked, and their rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from carbonsched.errors import ProviderMalformedError
from carbonsched.intensity.providers.rows import mg_or_none
from carbonsched.intensity.values import parse_instant
from carbonsched.model.intensity import Point

METHOD = "125%"
"""How the fuel of heat and power is divided; real-time values and prognosis use the same."""
PERIOD_S = 300
_HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One of the service's tables; ``fresh_s`` is for how long an answer is not asked again."""

    name: str
    start: str
    value: str
    period_s: int
    fresh_s: int
    method: bool = False

    @property
    def columns(self) -> str:
        """What of it is needed; without, an answer is twice as long."""
        method = ["FuelAllocationMethod"] if self.method else []
        return ",".join([self.start, "PriceArea", *method, self.value])


# The service allows each data set once a minute: the zones of one tick share an answer.
REAL_TIME = DataSet(
    name="CO2Emis", start="Minutes5UTC", value="CO2Emission", period_s=PERIOD_S, fresh_s=60
)
PROGNOSIS = DataSet(
    name="CO2EmisProg", start="Minutes5UTC", value="CO2Emission", period_s=PERIOD_S, fresh_s=60
)
SETTLED = DataSet(
    name="DeclarationGridEmission",
    start="HourUTC",
    value="CO2PerkWh",
    period_s=_HOUR_S,
    fresh_s=6 * _HOUR_S,
    method=True,
)


def read_rows(document: Any, data_set: DataSet, area: str) -> tuple[list[Point], int]:
    """An area's periods that have a value, as they came, and how many rows were faulty.

    Raises:
        ProviderMalformedError: not the documented shape, or not all the rows that there are.
    """
    rows = document.get("records") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise ProviderMalformedError("eds: the answer has no list 'records'")
    total = document.get("total")
    if isinstance(total, int) and total > len(rows):
        raise ProviderMalformedError(f"eds: gave {len(rows)} of {total} rows")
    points = []
    faulty = 0
    for row in rows:
        try:
            start_at = _utc(row[data_set.start])
            of_area, value = row["PriceArea"], row[data_set.value]
            method = row["FuelAllocationMethod"] if data_set.method else METHOD
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ProviderMalformedError(
                f"eds: a row of {data_set.name} is not as documented: the service has changed"
            ) from None
        if of_area != area or method != METHOD:
            continue
        mg_per_kwh = mg_or_none(value)
        if mg_per_kwh is None or start_at % data_set.period_s:
            faulty += 1
            continue
        points.append(Point(start_at, start_at + data_set.period_s, mg_per_kwh))
    return points, faulty


def with_settled(real_time: Iterable[Point], settled: Iterable[Point]) -> list[Point]:
    """Real-time periods flagged as estimates, but those of settled hours by the settled value."""
    merged = {
        point.start_at: Point(point.start_at, point.end_at, point.mg_per_kwh, estimated=True)
        for point in real_time
    }
    for hour in settled:
        for at in range(hour.start_at, hour.end_at, PERIOD_S):
            merged[at] = Point(at, at + PERIOD_S, hour.mg_per_kwh)
    return [merged[at] for at in sorted(merged)]


def _utc(text: str) -> int:
    """The service writes UTC without saying so."""
    return parse_instant(f"{text}Z" if len(text) == len("2026-11-20T18:00:00") else text)
