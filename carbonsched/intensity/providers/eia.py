"""The U.S. Energy Information Administration's hourly generation by fuel (API v2); needs a key.

Turned into intensity by the factors of a named set. Production-based: what one balancing authority
generates; imports are not in it. Values come hours to a day late and are revised. There is no
forecast of generation. The data are in the public domain.

``hourly`` is UTC and each hour bears the time at which it *ends*. The answer repeats the request,
and would repeat a key in its query: the key goes in a header, and nothing of an answer is shown.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from carbonsched.errors import (
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.factors import UNSTEADY, FactorSet, eia_fuel, factor_set
from carbonsched.intensity.http.fetch import Fetcher
from carbonsched.intensity.http.secret import Secret
from carbonsched.intensity.http.silence import Silence
from carbonsched.intensity.mix import (
    MAX_MW,
    Step,
    known_points,
    slots,
    steps_of,
    without_holes,
)
from carbonsched.intensity.roster import Roster
from carbonsched.intensity.values import parse_instant
from carbonsched.model.intensity import Forecast, IntensitySeries, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.ports import Clock

BASE_URL = "https://api.eia.gov"
PATH = "/v2/electricity/rto/fuel-type-data/data/"
PAGE_ROWS = 5000
MAX_PAGES = 20
MAX_CALL_S = 60 * 86_400
_HOUR_S = 3600
_PERIOD = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_RESPONDENT = re.compile(r"[A-Z0-9]{2,8}", re.ASCII)
_CODE = re.compile(r"[A-Z_]{1,40}|[0-9]{1,3}", re.ASCII)
_log = logging.getLogger(__name__)


def shared_fetcher(*, clock: Clock, timeout_s: float = 20.0) -> Fetcher:
    """One for all zones: the limits are per key."""
    return Fetcher(
        name="eia",
        timeout_s=timeout_s,
        settings="the key or respondent of the zone's provider",
        silence=Silence(clock),
    )


class EiaProvider:
    """One balancing authority, such as ``CISO``."""

    def __init__(
        self,
        *,
        zone: str,
        clock: Clock,
        respondent: str,
        key: Secret,
        factors: FactorSet | None = None,
        base_url: str = BASE_URL,
        timeout_s: float = 20.0,
        fetcher: Fetcher | None = None,
    ) -> None:
        """``timeout_s`` bounds each request as a whole.

        Raises:
            ValueError: ``respondent`` cannot be a code of the EIA.
        """
        if not _RESPONDENT.fullmatch(respondent):
            raise ValueError(
                f"{respondent[:40]!a} is no code of a balancing authority, such as CISO"
            )
        self._factors = factors or factor_set()
        self._info = SeriesInfo(
            provider="eia",
            zone=zone,
            kind="average",
            basis="production",
            gas=self._factors.gas,
            scope=self._factors.scope,
            note=f"{respondent}, U.S. Energy Information Administration; {self._factors.label}",
        )
        self._clock = clock
        self._respondent = respondent
        self._roster = Roster("eia", respondent)
        self._key = key
        self._url = base_url.rstrip("/") + PATH
        self._fetcher = fetcher or shared_fetcher(clock=clock, timeout_s=timeout_s)

    @property
    def info(self) -> SeriesInfo:
        """Average, production; gas and scope are those of the factors."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The hours that touch the interval, are over, and whose mix is whole."""
        now = self._clock.now()
        until_at = min(end_at, now)
        if until_at <= start_at:
            return IntensitySeries(info=self._info, fetched_at=now, points=())
        series: dict[str, list[Step]] = {}
        since_at = self._roster.since(start_at, until_at)
        for from_at, to_at in _calls(since_at, until_at):
            for row in self._rows(from_at, to_at):
                self._read(row, series)
        mix = {code: self._clean(code, steps) for code, steps in series.items()}
        fuels = {code: eia_fuel(code) for code in mix}
        span = (since_at, until_at)
        found, partial = self._roster.whole(slots(mix), fuels, self._factors, span)
        if partial:
            _log.warning("eia: %d hours of %s are reported in part", partial, self._respondent)
        known = known_points(found, start_at, until_at, now)
        return IntensitySeries(info=self._info, fetched_at=now, points=known)

    def forecast(self, now: int) -> Forecast | None:  # noqa: ARG002 - the port's signature
        """Always ``None``: the EIA publishes none of generation."""
        return None

    def _rows(self, from_at: int, to_at: int) -> Iterator[Any]:
        """The rows of all pages, which must be as many as the service says there are."""
        count = 0
        for page in range(MAX_PAGES):
            rows, total = _page(self._ask(from_at, to_at, page * PAGE_ROWS))
            yield from rows
            count += len(rows)
            if count >= total or not rows:
                break
        if count != total:
            raise ProviderMalformedError(f"eia: said {total} rows and gave {count}")

    def _ask(self, from_at: int, to_at: int, offset: int) -> Any:
        return self._fetcher.json(
            self._url,
            params={
                "frequency": "hourly",
                "data[0]": "value",
                "facets[respondent][]": self._respondent,
                "start": _written(from_at + _HOUR_S),
                "end": _written(to_at),
                # Without an order that leaves no two rows equal, pages overlap.
                "sort[0][column]": "period",
                "sort[0][direction]": "asc",
                "sort[1][column]": "fueltype",
                "sort[1][direction]": "asc",
                "offset": offset,
                "length": PAGE_ROWS,
            },
            headers={"X-Api-Key": self._key},
        )

    def _read(self, row: Any, series: dict[str, list[Step]]) -> None:
        """Put the row's value, where it has one, under its fuel."""
        try:
            ends_at = _instant(row["period"])
            fuel, value, units = row["fueltype"], row["value"], row["value-units"]
            respondent = row["respondent"]
        except (KeyError, TypeError, ValueError):
            raise ProviderMalformedError(
                "eia: a row is not {period, respondent, fueltype, value}: the service has changed"
            ) from None
        if respondent != self._respondent or units != "megawatthours" or not isinstance(fuel, str):
            raise ProviderMalformedError(
                f"eia: a row is not megawatthours of {self._respondent}: the service has changed"
            )
        steps = series.setdefault(fuel, [])
        amount = _amount(value)
        if amount is not None:
            steps.append(Step(ends_at - _HOUR_S, ends_at, amount))

    def _clean(self, code: str, steps: Sequence[Step]) -> tuple[Step, ...]:
        clean, faulty = steps_of(steps)
        if eia_fuel(code) not in UNSTEADY:
            clean, holes = without_holes(clean)
            faulty += holes
        if faulty:
            _log.warning("eia: %d rows contradict others or are zeros: taken as missing", faulty)
        return clean


def _page(document: Any) -> tuple[list[Any], int]:
    """The rows of one page and how many there are in all."""
    if not isinstance(document, Mapping):
        raise ProviderMalformedError("eia: the answer is no object")
    if "error" in document:
        raise _told_error(document["error"], document.get("code"))
    response = document.get("response")
    rows = response.get("data") if isinstance(response, Mapping) else None
    if not isinstance(response, Mapping) or not isinstance(rows, list):
        raise ProviderMalformedError("eia: the answer has no list response.data")
    if response.get("frequency", "hourly") != "hourly":
        raise ProviderMalformedError(
            "eia: the answer is not hourly in UTC: the service has changed"
        )
    try:
        return rows, int(str(response["total"]))
    except (KeyError, ValueError):
        raise ProviderMalformedError(
            "eia: the answer does not say how many rows there are"
        ) from None


def _told_error(told: Any, code: Any) -> Exception:
    """An error object, whatever the status; its words may repeat the request and are not shown."""
    named = str(told.get("code", "") if isinstance(told, Mapping) else code or "")
    shown = named if _CODE.fullmatch(named) else "no code"
    if named == "OVER_RATE_LIMIT" or named.startswith("5"):
        return ProviderUnavailableError(f"eia: answers with an error ({shown})")
    return ProviderRefusedError(
        f"eia: refuses the request ({shown}): correct the key or respondent of the zone's provider"
    )


def _instant(period: Any) -> int:
    if not isinstance(period, str) or not _PERIOD.fullmatch(period):
        raise ValueError("not an hour in UTC")
    return parse_instant(f"{period}:00Z")


def _amount(value: Any) -> Fraction | None:
    """Megawatt-hours, perhaps negative; ``None`` where there is no number."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    text = str(value)
    amount = Fraction(text) if _NUMBER.fullmatch(text) else None
    return amount if amount is not None and abs(amount) <= MAX_MW else None


def _calls(start_at: int, end_at: int) -> Iterator[tuple[int, int]]:
    """Spans on the hour, each of few pages."""
    from_at = start_at - start_at % _HOUR_S
    while from_at < end_at:
        to_at = min(from_at + MAX_CALL_S, end_at + -end_at % _HOUR_S)
        yield from_at, to_at
        from_at = to_at


def _written(at: int) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H")
