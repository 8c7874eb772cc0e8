"""Electricity Maps, API v4: averages of consumption with imports traced, CO2eq; needs a key.

Hourly, ``datetime`` is where a period starts. The last hours are estimates and say so; every row
may be revised later. The terms of free keys allow personal and academic use that is not
commercial. Source: ElectricityMaps.com.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from carbonsched.errors import (
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.http.fetch import Fetcher, RefusedStatusError
from carbonsched.intensity.http.silence import Silence
from carbonsched.intensity.providers.answers import (
    issue_time,
    made,
    read_points,
    row_time,
    updated_last,
)
from carbonsched.intensity.providers.rows import clean, known, mg_or_none, spans, written
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.intensity.http.secret import Secret
    from carbonsched.ports import Clock

BASE_URL = "https://api.electricitymaps.com/v4"
NAME = "electricity-maps"
HOUR_S = 3600
HISTORY_S = 23 * HOUR_S
"""``history`` has the hour that is running and as many before it."""
HORIZON_HOURS = 72
MAX_CALL_S = 10 * 86_400
_DENIED_S = 86_400
_PLAN = (b"unauthorized for", b"do not have access")
_log = logging.getLogger(__name__)


class _PlanError(ProviderRefusedError):
    """The key is good, but its plan does not include what was asked."""


def shared_fetcher(*, clock: Clock, timeout_s: float) -> Fetcher:
    """What asks the service, once for all zones."""
    return Fetcher(
        name=NAME,
        timeout_s=timeout_s,
        settings="place, scope or base_url",
        silence=Silence(clock),
    )


class ElectricityMapsProvider:
    """The live service, or one that speaks like it at another ``base_url``."""

    def __init__(
        self,
        *,
        zone: str,
        clock: Clock,
        key: Secret,
        place: str,
        scope: Literal["direct", "lifecycle"] = "lifecycle",
        base_url: str = BASE_URL,
        timeout_s: float = 10.0,
        fetcher: Fetcher | None = None,
    ) -> None:
        """``place`` is the service's own name of the zone, such as ``DK-DK2``."""
        note = f"{place}, source: ElectricityMaps.com"
        self._info = SeriesInfo(
            provider=NAME, zone=zone, basis="consumption", gas="CO2eq", scope=scope, note=note
        )
        self._clock = clock
        self._key = key
        self._place = place
        self._base_url = base_url.rstrip("/")
        self._fetcher = fetcher or shared_fetcher(clock=clock, timeout_s=timeout_s)
        self._asked = {
            "zone": place,
            "emissionFactorType": scope,
            "temporalGranularity": "hourly",
            "flowTraced": True,
        }
        self._no_past = Silence(clock)

    @property
    def info(self) -> SeriesInfo:
        """Average, consumption, CO2eq, of the scope that was chosen."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The hours that touch the interval and are over: a day by ``history``, older by range.

        A key without access to ranges gives the last day of a longer interval.
        """
        now = self._clock.now()
        until_at = min(end_at, now)
        recent_at = now - now % HOUR_S - HISTORY_S
        rows: list[Any] = []
        if start_at < until_at and until_at > recent_at:
            rows += self._listed(self._get("history", {}), "history")
        if start_at < min(until_at, recent_at):
            rows += self._older(start_at, min(until_at, recent_at), alone=until_at <= recent_at)
        points = known(
            self._points(updated_last(rows, "datetime", "updatedAt")), start_at, end_at, now
        )
        return IntensitySeries(info=self._info, fetched_at=now, points=clean(NAME, points))

    def forecast(self, now: int) -> Forecast | None:
        """The hours ahead that were really received; ``updatedAt`` is when it was issued."""
        document = self._get("forecast", {"horizonHours": HORIZON_HOURS})
        rows = self._listed(document, "forecast")
        # Its rows carry no flag: being a forecast belongs to the endpoint.
        points = self._points({**row, "isEstimated": False} for row in rows)
        ahead = clean(NAME, [point for point in points if point.end_at > now])
        if not ahead:
            raise ProviderMalformedError(f"{NAME}: the forecast has no usable hour")
        issued_at = issue_time(document.get("updatedAt"), now)
        return Forecast(info=self._info, issued_at=issued_at, points=ahead)

    def _older(self, start_at: int, end_at: int, *, alone: bool) -> list[Any]:
        rows: list[Any] = []
        if self._no_past.left_s() and not alone:
            return rows
        try:
            for from_at, to_at in spans(start_at, end_at, step_s=HOUR_S, most_s=MAX_CALL_S):
                span = {"start": written(from_at), "end": written(to_at)}
                rows += self._listed(self._get("past-range", span), "data")
        except _PlanError as error:
            if alone:
                raise
            self._no_past.keep(_DENIED_S)
            _log.warning("%s; only the last day is known, asked again in a day", error)
        return rows

    def _get(self, what: str, params: dict[str, Any]) -> Any:
        asked = {
            "zone": self._place,
            "emissionFactorType": self._info.scope,
            "temporalGranularity": "hourly",
            "flowTraced": "true",
            # Else a zone that it does not know becomes the one where the caller's address is.
            "disableCallerLookup": "true",
            **params,
        }
        url = f"{self._base_url}/carbon-intensity/{what}"
        try:
            return self._fetcher.json(url, asked, {"auth-token": self._key})
        except RefusedStatusError as error:
            raise self._denial(what, error) from None

    def _denial(self, what: str, error: RefusedStatusError) -> ProviderRefusedError:
        """Status 401 means two things; only the body tells which."""
        if any(words in error.body.lower() for words in _PLAN):
            said = f"{NAME}: the key's plan has no {what} of {self._place}"
            return _PlanError(f"{said}: choose another plan or provider")
        if error.status != 401:
            return error
        return ProviderRefusedError(f"{NAME}: the key is refused: correct key_file or key_env")

    def _listed(self, document: Any, listed: str) -> list[Any]:
        """The rows, if they are of what was asked for."""
        if not isinstance(document, dict):
            raise ProviderMalformedError(f"{NAME}: the answer is no object")
        if "error" in document or document.get("status") == "error":
            raise ProviderUnavailableError(
                f"{NAME}: answers with an error though the status is 200"
            )
        rows = document.get(listed)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ProviderMalformedError(f"{NAME}: the answer has no list {listed!r} of rows")
        parts = [document, *rows]
        for name, wanted in self._asked.items():
            if any(part.get(name, wanted) != wanted for part in parts):
                raise ProviderMalformedError(f"{NAME}: answered for another {name} than {wanted}")
        if rows and all("zone" not in part for part in parts):
            raise ProviderMalformedError(f"{NAME}: the answer does not say its zone")
        return rows

    def _points(self, rows: Iterable[Any]) -> list[Point]:
        return read_points(NAME, rows, _point, "{datetime, carbonIntensity}")


def _point(row: Any) -> Point | None:
    # Only a clear false is taken for a figure that will stay.
    estimated = row.get("isEstimated") is not False
    start_at, mg = row_time(row["datetime"]), mg_or_none(row["carbonIntensity"])
    return made(start_at, HOUR_S, mg, estimated=estimated)
