"""Great Britain's national carbon intensity from NESO's public API; no key is needed.

Half-hours, g CO2 per kWh (operational: no upstream emissions, not CO2eq); imports are counted at
their origin's factor, so roughly consumption-based. ``actual`` comes about half an hour late and
is revised for a day. Forecast rows carry no issue time: it is when they were fetched.
Data: National Energy System Operator, CC BY 4.0.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from carbonsched.errors import (
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.fetch import JsonFetcher, RateLimitedError
from carbonsched.intensity.periods import without_contradictions
from carbonsched.intensity.values import mg_from_number, parse_instant
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.ports import Clock

BASE_URL = "https://api.carbonintensity.org.uk"
PERIOD_S = 1800
MAX_CALL_S = 14 * 86_400
_LONGEST_PERIOD_S = 86_400
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _NotBefore:
    """A service's wish to be left alone from one time until another."""

    asked_at: int
    until_at: int

    def holds(self, now: int) -> bool:
        # A clock set back leaves the span, and must not make the silence endless.
        return self.asked_at <= now < self.until_at


class NesoProvider:
    """The live service, or one that speaks like it at another ``base_url``."""

    def __init__(
        self, *, zone: str, clock: Clock, base_url: str = BASE_URL, timeout_s: float = 10.0
    ) -> None:
        """``timeout_s`` bounds each request as a whole."""
        self._info = SeriesInfo(
            provider="neso",
            zone=zone,
            kind="average",
            basis="consumption",
            gas="CO2",
            scope="direct",
            note="National Energy System Operator, CC BY 4.0",
        )
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._fetcher = JsonFetcher(name=self._info.provider, timeout_s=timeout_s)
        self._not_before: _NotBefore | None = None

    @property
    def info(self) -> SeriesInfo:
        """Average, roughly consumption, direct CO2."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The half-hours that touch the interval and have a value; one call for 14 days."""
        now = self._clock.now()
        points: list[Point] = []
        for from_at, to_at in _calls(start_at, min(end_at, now)):
            document = self._get(f"/intensity/{_written(from_at)}/{_written(to_at)}")
            points += self._points(document, "actual")
        wanted = [
            point
            for point in points
            if point.end_at > start_at and point.start_at < end_at and point.end_at <= now
        ]
        return IntensitySeries(info=self._info, fetched_at=now, points=self._clean(wanted))

    def forecast(self, now: int) -> Forecast | None:
        """The next 48 hours, or what of them was really received."""
        document = self._get(f"/intensity/{_written(now)}/fw48h")
        points = [point for point in self._points(document, "forecast") if point.end_at > now]
        clean = self._clean(points)
        if not clean:
            raise ProviderMalformedError("neso: the forecast has no usable half-hour")
        return Forecast(info=self._info, issued_at=now, points=clean)

    def _get(self, path: str) -> Any:
        now = self._clock.now()
        if self._not_before is not None and self._not_before.holds(now):
            wait_s = self._not_before.until_at - now
            raise ProviderUnavailableError(f"neso: asked to be left alone for {wait_s} s more")
        self._not_before = None
        try:
            return self._fetcher.get(self._base_url + path)
        except RateLimitedError as error:
            self._not_before = _NotBefore(asked_at=now, until_at=now + error.wait_s)
            raise

    def _points(self, document: Any, column: Literal["actual", "forecast"]) -> list[Point]:
        points, left_out = read_rows(document, column)
        if left_out:
            _log.warning("neso: %d rows without a usable %s value", left_out, column)
        return points

    def _clean(self, points: list[Point]) -> tuple[Point, ...]:
        clean, contested = without_contradictions(points)
        if contested:
            _log.warning("neso: %d rows contradict each other: taken as missing", contested)
        return clean


def read_rows(document: Any, column: Literal["actual", "forecast"]) -> tuple[list[Point], int]:
    """The periods of an answer that have a value, as they came, and how many rows were faulty.

    A null ``actual`` is the service's word for "not yet" and no fault; zeros, negative and
    implausible values are, and are missing.

    Raises:
        ProviderRefusedError, ProviderUnavailableError: an ``error`` object, whatever the status.
        ProviderMalformedError: not the documented shape.
    """
    points = []
    faulty = 0
    for row in _rows(document):
        try:
            start_at, end_at = parse_instant(row["from"]), parse_instant(row["to"])
            value = row["intensity"][column]
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ProviderMalformedError(
                "neso: a row is not {from, to, intensity}: the service has changed"
            ) from None
        if value is None:
            faulty += column == "forecast"
            continue
        mg_per_kwh = _mg(value)
        if mg_per_kwh is None or not 0 < end_at - start_at <= _LONGEST_PERIOD_S:
            faulty += 1
            continue
        points.append(Point(start_at, end_at, mg_per_kwh))
    return points, faulty


def _rows(document: Any) -> list[Any]:
    if isinstance(document, dict) and "error" in document:
        raise _told_error(document["error"])
    rows = document.get("data") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise ProviderMalformedError("neso: the answer has no list 'data'")
    return rows


def _told_error(told: Any) -> Exception:
    code = str(told.get("code", "")) if isinstance(told, dict) else ""
    if code.startswith("4"):
        return ProviderRefusedError(f"neso: refuses the request ({ascii(code[:40])[1:-1]})")
    return ProviderUnavailableError(f"neso: answers with an error ({ascii(code[:40])[1:-1]})")


def _mg(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        return mg_from_number(value)
    except ValueError:
        return None


def _calls(start_at: int, end_at: int) -> Iterator[tuple[int, int]]:
    """Spans on the half-hour, each short enough for one call."""
    from_at = start_at - start_at % PERIOD_S
    while from_at < end_at:
        to_at = min(from_at + MAX_CALL_S, end_at + -end_at % PERIOD_S)
        yield from_at, to_at
        from_at = to_at


def _written(at: int) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%MZ")
