"""A European country's carbon intensity from Energy-Charts (Fraunhofer ISE); no key is needed.

Quarter-hours (hours in some countries), g CO2eq per kWh, one to two hours late. The service says
neither whether imports are counted nor which scope its factors have, so the site declares both.
The forecast is the second array of ``/co2eq``; it has no issue time: it is when it was fetched.
``/co2eq`` is not part of the published interface: that it is gone is one clear refusal.
Data: Energy-Charts.info, CC BY 4.0.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from carbonsched.errors import ProviderMalformedError, ProviderRefusedError
from carbonsched.intensity.http.fetch import Fetcher, RefusedStatusError
from carbonsched.intensity.http.silence import PacedError, Silence
from carbonsched.intensity.providers.rows import clean, known, left_out, mg_or_none, spans, written
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.ports import Clock

BASE_URL = "https://api.energy-charts.info"
STEPS_S = (900, 1800, 3600)
MAX_CALL_S = 180 * 86_400
FRESH_S = 900
PAST_FRESH_S = 3600
"""Days before today change little: with today's answer shared, a country costs five requests an
hour, so that the service's two a minute do for 24 countries."""
TODAY_WITHIN_S = 36 * 3600
"""A country's today begins less than this before now, wherever its midnight is."""
BURST = 4
REFILL_S = 30
_DAY_S = 86_400
_LATEST_S = 1 << 40
_NAME = "energy-charts"
_log = logging.getLogger(__name__)


class Pace(Silence):
    """Two requests a minute, four at once after a rest: the service's limit, kept by ourselves."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._asked: list[int] = []

    def check(self, name: str) -> None:
        """Count a request that is about to be made; ``PacedError`` where it is too early."""
        super().check(name)
        now = self.now()
        # Those after now are from before the clock was set back, and bind nobody.
        self._asked = [at for at in self._asked if now - BURST * REFILL_S < at <= now]
        if len(self._asked) >= BURST:
            raise PacedError(f"{name}: not asked more than twice a minute")
        self._asked.append(now)


def shared_fetcher(*, clock: Clock, timeout_s: float) -> Fetcher:
    """What all zones that ask this service share, its limit above all."""
    return Fetcher(
        name=_NAME,
        timeout_s=timeout_s,
        settings="base_url or country",
        silence=Pace(clock),
    )


class EnergyChartsProvider:
    """The live service, or one that speaks like it at another ``base_url``."""

    def __init__(
        self,
        *,
        zone: str,
        clock: Clock,
        country: str,
        basis: Literal["production", "consumption"],
        scope: Literal["direct", "lifecycle"],
        base_url: str = BASE_URL,
        timeout_s: float = 10.0,
        fetcher: Fetcher | None = None,
    ) -> None:
        """``country`` as the service writes it: ``de``, ``dk``, ``uk``.

        ``basis`` and ``scope`` are the site's word, for the service gives none. ``timeout_s``
        bounds each request as a whole; ``fetcher`` is shared by zones.
        """
        self._info = SeriesInfo(
            provider=_NAME,
            zone=zone,
            kind="average",
            basis=basis,
            gas="CO2eq",
            scope=scope,
            note=f"{country}, Energy-Charts.info, CC BY 4.0; basis and scope as the site declares",
        )
        self._country = country
        self._clock = clock
        self._url = base_url.rstrip("/") + "/co2eq"
        self._fetcher = fetcher or shared_fetcher(clock=clock, timeout_s=timeout_s)
        self._warned = False

    @property
    def info(self) -> SeriesInfo:
        """Average CO2eq, the rest as declared."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The measured periods that touch the interval and are over; one call for 180 days.

        Today's come with the answer that has the forecast, and go before older answers.
        """
        now = self._clock.now()
        until_at = min(end_at, now)
        today: list[Point] = []
        if max(start_at, now - TODAY_WITHIN_S) < until_at:
            today = self._points("co2eq", {}, FRESH_S)
        today_at = min((point.start_at for point in today), default=until_at)
        known_s = max((point.end_at for point in today), default=today_at) - today_at
        # Soon after midnight an answer of before does not reach up to what is known of today.
        fresh_s = PAST_FRESH_S if known_s >= PAST_FRESH_S else FRESH_S
        past: list[Point] = []
        for from_at, to_at in spans(start_at, until_at, step_s=_DAY_S, most_s=MAX_CALL_S):
            window = {"start": written(from_at), "end": written(to_at)}
            past += self._points("co2eq", window, fresh_s)
        points = [*(point for point in past if point.start_at < today_at), *today]
        told = clean(_NAME, known(points, start_at, end_at, now))
        return IntensitySeries(info=self._info, fetched_at=now, points=told)

    def forecast(self, now: int) -> Forecast | None:
        """What is expected from now on; ``None`` where the service expects nothing."""
        points = self._points("co2eq_forecast", {}, FRESH_S)
        told = clean(_NAME, [point for point in points if point.end_at > now])
        return Forecast(info=self._info, issued_at=now, points=told) if told else None

    def _points(
        self, column: Literal["co2eq", "co2eq_forecast"], window: dict[str, str], fresh_s: int
    ) -> list[Point]:
        params = {"country": self._country, **window}
        try:
            document = self._fetcher.json(self._url, params, fresh_s=fresh_s)
        except RefusedStatusError as error:
            if error.status != 404:
                raise
            if b"no content" in error.body.lower():
                return []
            raise ProviderRefusedError(
                f"{_NAME}: /co2eq is gone (status 404): take another provider for the zone"
            ) from None
        if isinstance(document, dict) and document.get("deprecated") is True and not self._warned:
            self._warned = True
            _log.warning("%s: the service calls /co2eq deprecated: plan for another", _NAME)
        try:
            points, faulty = read_arrays(document, column)
        except ProviderMalformedError:
            self._fetcher.forget(self._url, params)
            raise
        left_out(_NAME, faulty, column)
        return points


def read_arrays(
    document: Any, column: Literal["co2eq", "co2eq_forecast"]
) -> tuple[list[Point], int]:
    """The periods with a value in one array, as they came, and how many rows were faulty.

    Nulls are the service's word for "in the other array" or "not yet". A period lasts as long as
    the shortest distance between two starts: a row that is missing must not stretch another.

    Raises:
        ProviderMalformedError: not the documented shape.
    """
    starts = document.get("unix_seconds") if isinstance(document, dict) else None
    if not isinstance(starts, list):
        raise ProviderMalformedError(f"{_NAME}: the answer has no list 'unix_seconds'")
    values = document.get(column)
    if values is None and column == "co2eq_forecast":
        return [], 0
    if not isinstance(values, list) or len(values) != len(starts):
        raise ProviderMalformedError(f"{_NAME}: '{column}' is no list as long as 'unix_seconds'")
    times = [_second(start) for start in starts]
    step_s = _step_s(times)
    points = []
    faulty = 0
    for start_at, value in zip(times, values, strict=True):
        if value is None:
            continue
        mg_per_kwh = mg_or_none(value)
        if mg_per_kwh is None or step_s is None or start_at % step_s:
            faulty += 1
            continue
        points.append(Point(start_at, start_at + step_s, mg_per_kwh))
    return points, faulty


def _second(value: Any) -> int:
    number = value if isinstance(value, int | Decimal) and not isinstance(value, bool) else -1
    # The range comes first: a number as short as 1e999999 would be an endless integer.
    if not (Decimal(number).is_finite() and 0 <= number < _LATEST_S and number == int(number)):
        raise ProviderMalformedError(f"{_NAME}: 'unix_seconds' holds something else")
    return int(number)


def _step_s(times: list[int]) -> int | None:
    """The length of a period; ``None`` where there are fewer than two."""
    distances = [after - before for before, after in pairwise(sorted(set(times)))]
    if not distances:
        return None
    if min(distances) not in STEPS_S:
        raise ProviderMalformedError(f"{_NAME}: periods of {min(distances)} s: unheard of")
    return min(distances)
