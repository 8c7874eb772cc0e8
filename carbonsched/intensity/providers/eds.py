"""Denmark's carbon intensity from Energinet's Energi Data Service, DK1 or DK2; no key is needed.

Five-minute periods, g CO2 per kWh consumed: direct emissions, fuel of heat and power divided by
the 125 % method; neither CO2eq nor lifecycle. Three data sets: ``CO2Emis`` (about five minutes
late, flagged ``estimated``), ``CO2EmisProg`` (the forecast, no issue time: it is when it was
fetched) and ``DeclarationGridEmission`` (settled hours, much later), which replaces the first.
Rows are read by their UTC column; the Danish one is ambiguous when summer time ends.
Data: Energinet (energidataservice.dk), CC BY 4.0.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Literal

from carbonsched.errors import ProviderError, ProviderMalformedError
from carbonsched.intensity.http.fetch import Fetcher
from carbonsched.intensity.http.silence import Silence
from carbonsched.intensity.providers.eds_rows import (
    METHOD,
    PROGNOSIS,
    REAL_TIME,
    SETTLED,
    DataSet,
    read_rows,
    with_settled,
)
from carbonsched.intensity.providers.rows import clean, known, left_out, spans, written
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.ports import Clock

BASE_URL = "https://api.energidataservice.dk"
AREAS = ("DK1", "DK2")
MAX_CALL_S = 92 * 86_400
_HOUR_S = 3600
_DAY_S = 86_400
_MAX_BYTES = 12_000_000
_NAME = "eds"
_SETTLED_REST_S = 1800  # over by the time when what was incomplete is asked for again
_log = logging.getLogger(__name__)


def shared_fetcher(*, clock: Clock, timeout_s: float) -> Fetcher:
    """What all zones that ask this service share."""
    return Fetcher(
        name=_NAME,
        timeout_s=timeout_s,
        max_bytes=_MAX_BYTES,
        settings="base_url or area",
        silence=Silence(clock),
    )


class EdsProvider:
    """The live service, or one that speaks like it at another ``base_url``."""

    def __init__(
        self,
        *,
        zone: str,
        clock: Clock,
        area: Literal["DK1", "DK2"],
        base_url: str = BASE_URL,
        timeout_s: float = 10.0,
        fetcher: Fetcher | None = None,
    ) -> None:
        """``timeout_s`` bounds each request as a whole; ``fetcher`` is shared by zones.

        Raises:
            ValueError: no such area.
        """
        if area not in AREAS:
            raise ValueError(f"there is no area {area!r}: DK1 or DK2")
        self._info = SeriesInfo(
            provider=_NAME,
            zone=zone,
            kind="average",
            basis="consumption",
            gas="CO2",
            scope="direct",
            note=f"{area}, Energinet (energidataservice.dk), CC BY 4.0",
        )
        self._area = area
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._fetcher = fetcher or shared_fetcher(clock=clock, timeout_s=timeout_s)
        self._settled_rests = Silence(clock)

    @property
    def info(self) -> SeriesInfo:
        """Average, consumption, direct CO2."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """Five-minute periods that touch the interval; two calls for 92 days.

        A settled hour comes as twelve equal periods that are not ``estimated``, so that they
        revise what was told in real time; the rest is. The series is ``incomplete`` while the
        settled ones cannot be had: the rest of the service still counts.
        """
        now = self._clock.now()
        until_at = min(end_at, now)
        points: list[Point] = []
        for from_at, to_at in spans(start_at, until_at, step_s=_HOUR_S, most_s=MAX_CALL_S):
            points += self._points(REAL_TIME, from_at, to_at)
        settled, missing = self._settled(start_at, until_at)
        merged = with_settled(clean(_NAME, points), clean(_NAME, settled))
        told = tuple(known(merged, start_at, end_at, now))
        return IntensitySeries(info=self._info, fetched_at=now, points=told, incomplete=missing)

    def forecast(self, now: int) -> Forecast | None:
        """What is expected from now on, as far as it was really received: 9 to 33 hours."""
        points = self._points(PROGNOSIS, now - now % _HOUR_S, None)
        told = clean(_NAME, [point for point in points if point.end_at > now])
        if not told:
            raise ProviderMalformedError("eds: the forecast has no usable period")
        return Forecast(info=self._info, issued_at=now, points=told)

    def _settled(self, start_at: int, end_at: int) -> tuple[list[Point], str]:
        """Settled hours as far as they can be had, and why there may be more."""
        points: list[Point] = []
        if left_s := self._settled_rests.left_s():
            return points, f"{_NAME}: settled values are not asked for again for {left_s} s"
        try:
            for from_at, to_at in spans(start_at, end_at, step_s=_DAY_S, most_s=MAX_CALL_S):
                points += self._points(SETTLED, from_at, to_at)
        except ProviderError as error:
            self._settled_rests.keep(_SETTLED_REST_S)
            _log.warning("%s (settled values; asked again in %d s)", error, _SETTLED_REST_S)
            return points, f"{error} (settled values)"
        return points, ""

    def _points(self, data_set: DataSet, from_at: int, to_at: int | None) -> list[Point]:
        wanted = {"PriceArea": list(AREAS)}
        if data_set.method:
            wanted["FuelAllocationMethod"] = [METHOD]
        params: dict[str, str | int] = {
            "start": written(from_at, ""),
            "timezone": "UTC",
            "filter": json.dumps(wanted, separators=(",", ":")),
            "columns": data_set.columns,
            "sort": f"{data_set.start} asc",
            "limit": 0,  # all; else the newest hundred
        }
        if to_at is not None:
            params["end"] = written(to_at, "")
        url = f"{self._base_url}/dataset/{data_set.name}"
        document = self._fetcher.json(url, params, fresh_s=data_set.fresh_s)
        try:
            points, faulty = read_rows(document, data_set, self._area)
        except ProviderMalformedError:
            self._fetcher.forget(url, params)
            raise
        left_out(_NAME, faulty, data_set.name)
        return points
