"""Great Britain's carbon intensity from NESO's public API, national or regional; no key is needed.

Half-hours, g CO2 per kWh (operational: no upstream emissions, not CO2eq); imports are counted at
their origin's factor, so roughly consumption-based. The national ``actual`` comes about half an
hour late and is revised for a day. A region has no ``actual``: what the service last said of a
period that is over is its estimate, and is flagged so. Forecast rows carry no issue time: it is
when they were fetched. Data: National Energy System Operator, CC BY 4.0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from carbonsched.errors import ProviderMalformedError
from carbonsched.intensity.http.fetch import Fetcher
from carbonsched.intensity.http.silence import Silence
from carbonsched.intensity.providers.neso_rows import of_region, read_rows
from carbonsched.intensity.providers.rows import clean, known, left_out, spans, written
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.ports import Clock

BASE_URL = "https://api.carbonintensity.org.uk"
PERIOD_S = 1800
MAX_CALL_S = 14 * 86_400
_NAME = "neso"
_SOURCE = "National Energy System Operator, CC BY 4.0"
_ESTIMATE = "the service's own estimate: regions have no metered value"


def shared_fetcher(*, clock: Clock, timeout_s: float) -> Fetcher:
    """What all zones that ask this service share."""
    return Fetcher(
        name=_NAME,
        timeout_s=timeout_s,
        settings="base_url, region or postcode",
        silence=Silence(clock),
    )


class NesoProvider:
    """The live service, or one that speaks like it at another ``base_url``."""

    def __init__(
        self,
        *,
        zone: str,
        clock: Clock,
        region: int | None = None,
        postcode: str | None = None,
        base_url: str = BASE_URL,
        timeout_s: float = 10.0,
        fetcher: Fetcher | None = None,
    ) -> None:
        """``region`` is NESO's number (1 to 17), ``postcode`` an outward code such as NW1.

        The nation's figures without either. ``timeout_s`` bounds each request as a whole; a
        ``fetcher`` is shared by all zones that use the service.

        Raises:
            ValueError: both a region and a postcode, or no such region.
        """
        if region is not None and postcode is not None:
            raise ValueError("a region or a postcode, not both")
        if region is not None and not 1 <= region <= 17:
            raise ValueError(f"there is no region {region}: NESO counts them from 1 to 17")
        self._region = region
        self._place = _path_of(region, postcode)
        self._info = SeriesInfo(
            provider=_NAME,
            zone=zone,
            kind="average",
            basis="consumption",
            gas="CO2",
            scope="direct",
            note=_note(region, postcode),
        )
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._fetcher = fetcher or shared_fetcher(clock=clock, timeout_s=timeout_s)

    @property
    def info(self) -> SeriesInfo:
        """Average, roughly consumption, direct CO2."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The half-hours that touch the interval and have a value; one call for 14 days.

        Those of a region are flagged ``estimated``.
        """
        now = self._clock.now()
        until_at = min(end_at, now)
        points: list[Point] = []
        for from_at, to_at in spans(start_at, until_at, step_s=PERIOD_S, most_s=MAX_CALL_S):
            points += self._points(from_at, written(to_at), "forecast" if self._place else "actual")
        if self._place:
            points = [replace(point, estimated=True) for point in points]
        told = clean(_NAME, known(points, start_at, end_at, now))
        return IntensitySeries(info=self._info, fetched_at=now, points=told)

    def forecast(self, now: int) -> Forecast | None:
        """The next 48 hours, or what of them was really received."""
        points = self._points(now, "fw48h", "forecast")
        told = clean(_NAME, [point for point in points if point.end_at > now])
        if not told:
            raise ProviderMalformedError("neso: the forecast has no usable half-hour")
        return Forecast(info=self._info, issued_at=now, points=told)

    def _points(
        self, from_at: int, until: str, column: Literal["actual", "forecast"]
    ) -> list[Point]:
        path = f"/intensity/{written(from_at)}/{until}"
        if self._place:
            path = f"/regional{path}{self._place}"
        document = self._fetcher.json(self._base_url + path)
        if self._place:
            document = of_region(document, self._region)
        points, faulty = read_rows(document, column)
        left_out(_NAME, faulty, column)
        return points


def _path_of(region: int | None, postcode: str | None) -> str:
    if region is not None:
        return f"/regionid/{region}"
    return "" if postcode is None else f"/postcode/{quote(postcode, safe='')}"


def _note(region: int | None, postcode: str | None) -> str:
    if region is None and postcode is None:
        return _SOURCE
    place = f"postcode {postcode}" if region is None else f"region {region}"
    return f"{place}, {_ESTIMATE}; {_SOURCE}"
