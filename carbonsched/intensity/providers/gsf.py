"""A site's own Carbon Aware SDK WebAPI (Green Software Foundation), as its client.

It answers in grams per kWh and says nothing of what they are: marginal with WattTime behind it,
average with Electricity Maps. The operator declares it, and nothing is taken without.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from carbonsched.errors import (
    ProviderError,
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.http.fetch import Fetcher, RefusedStatusError
from carbonsched.intensity.http.silence import Silence
from carbonsched.intensity.periods import usual_step
from carbonsched.intensity.providers.answers import issue_time, made, read_points, row_time
from carbonsched.intensity.providers.rows import clean, known, mg_or_none, spans, written
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.ports import Clock

NAME = "gsf"
MAX_CALL_S = 7 * 86_400
"""Below the limits of every service that may stand behind it."""
_HOUR_S = 3600
_NOT_IMPLEMENTED = 501
_SPAN = re.compile(r"(?:(\d{1,3})\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.\d{1,9})?", re.ASCII)


def shared_fetcher(*, clock: Clock, timeout_s: float) -> Fetcher:
    """What asks the WebAPI, once for all zones; it is the site's own, so without proxies."""
    return Fetcher(
        name=NAME,
        timeout_s=timeout_s,
        settings="location or base_url",
        proxies=False,
        silence=Silence(clock),
    )


class GsfProvider:
    """The WebAPI at ``base_url``."""

    def __init__(
        self,
        *,
        zone: str,
        clock: Clock,
        base_url: str,
        location: str,
        kind: Literal["average", "marginal"],
        basis: Literal["production", "consumption"],
        gas: Literal["CO2", "CO2eq"],
        scope: Literal["direct", "lifecycle"],
        answers_as: str | None = None,
        note: str = "",
        timeout_s: float = 10.0,
        fetcher: Fetcher | None = None,
    ) -> None:
        """``location`` is asked for, and stands before ``note`` beside every figure.

        ``answers_as`` is the location that its rows name where that is another: with WattTime
        behind it they name WattTime's region.
        """
        self._info = SeriesInfo(
            provider=NAME,
            zone=zone,
            kind=kind,
            basis=basis,
            gas=gas,
            scope=scope,
            note=f"{location}, {note}" if note else location,
        )
        self._clock = clock
        self._location = location
        self._names = (location, answers_as or location)
        self._base_url = base_url.rstrip("/")
        self._fetcher = fetcher or shared_fetcher(clock=clock, timeout_s=timeout_s)

    @property
    def info(self) -> SeriesInfo:
        """What the operator declared."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The periods that touch the interval and are over; one call for a week."""
        now = self._clock.now()
        points: list[Point] = []
        for from_at, to_at in spans(start_at, min(end_at, now), step_s=_HOUR_S, most_s=MAX_CALL_S):
            span = {"time": written(from_at), "toTime": written(to_at)}
            document = self._get("bylocation", span)
            points += self._points(document, ("time", "rating"))
        wanted = known(points, start_at, end_at, now)
        return IntensitySeries(info=self._info, fetched_at=now, points=clean(NAME, wanted))

    def forecast(self, now: int) -> Forecast | None:
        """The periods ahead that were received; ``None`` where its data source has no forecasts."""
        # No windowSize is asked for: it would make every value a rolling average.
        try:
            document = self._get("forecasts/current", {})
        except RefusedStatusError as error:
            if error.status == _NOT_IMPLEMENTED:
                return None
            raise
        told = [one for one in document if isinstance(one, dict)]
        if len(told) != 1 or told[0].get("location") not in self._names:
            raise ProviderMalformedError(f"{NAME}: the answer is not one forecast of its location")
        rows = told[0].get("forecastData")
        if not isinstance(rows, list):
            raise ProviderMalformedError(f"{NAME}: the forecast has no list 'forecastData'")
        points = self._points(rows, ("timestamp", "value"))
        _check_not_rolling(points)
        ahead = clean(NAME, [point for point in points if point.end_at > now])
        if not ahead:
            raise ProviderMalformedError(f"{NAME}: the forecast has no usable period")
        issued_at = issue_time(told[0].get("generatedAt"), now)
        return Forecast(info=self._info, issued_at=issued_at, points=ahead)

    def _get(self, what: str, params: dict[str, str]) -> list[Any]:
        """The answer's list; an empty one for status 204."""
        url = f"{self._base_url}/emissions/{what}"
        asked = {"location": self._location, **params}
        document = self._fetcher.json(url, asked, empty_ok=True)
        if document is None:
            return []
        if isinstance(document, dict) and ("title" in document or "status" in document):
            raise _problem(document)
        if not isinstance(document, list):
            raise ProviderMalformedError(f"{NAME}: the answer is no list")
        return document

    def _points(self, rows: list[Any], names: tuple[str, str]) -> list[Point]:
        time, value = names

        def read(row: Any) -> Point | None:
            if row["location"] not in self._names:
                raise ProviderMalformedError(
                    f"{NAME}: a row is of another location than {self._location}: "
                    "correct location or answers_as"
                )
            # Its source may have been null (-1) or failed (0): both are missing.
            return made(row_time(row[time]), seconds(row["duration"]), mg_or_none(row[value]))

        return read_points(NAME, rows, read, f"{{location, {time}, duration, {value}}}")


def seconds(duration: Any) -> int:
    """Whole seconds of a .NET TimeSpan (``00:05:00``, ``1.00:00:00``) or of minutes.

    Raises:
        ValueError: neither of them.
    """
    if isinstance(duration, int) and not isinstance(duration, bool):
        return duration * 60
    match = _SPAN.fullmatch(duration) if isinstance(duration, str) else None
    if match is None:
        raise ValueError("a duration is HH:MM:SS or whole minutes")
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def _check_not_rolling(points: list[Point]) -> None:
    """Averages over windows that overlap cannot be turned back into what they were made from."""
    step = usual_step([sorted({point.start_at for point in points})])
    if step is not None and any(point.end_at - point.start_at > step for point in points):
        raise ProviderMalformedError(
            f"{NAME}: the forecast is of rolling averages, longer than their step of {step} s: "
            "they cannot be taken apart; let the WebAPI answer without windowSize"
        )


def _problem(document: dict[str, Any]) -> ProviderError:
    """An error object (RFC 7807) though the status is 200."""
    status = document.get("status")
    said = f"{NAME}: answers with an error though the status is 200"
    if isinstance(status, int) and 400 <= status < 500:
        return ProviderRefusedError(f"{said}: correct location or base_url")
    return ProviderUnavailableError(said)
