"""ENTSO-E's Transparency Platform: generation by type, turned into intensity; needs a token.

Production-based: what a bidding zone generates, by the factors of a named set; imports are not in
it. Generation appears about an hour late and is revised later. The forecast is made here from the
day-ahead forecasts of load, wind and solar, by the method of :mod:`carbonsched.intensity.residual`;
since it also rests on the latest actual values, it is issued when it is made.
Data: ENTSO-E Transparency Platform, CC BY 4.0.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

from carbonsched.errors import ProviderUnavailableError
from carbonsched.intensity.factors import STORAGE, UNSTEADY, FactorSet, entsoe_fuel, factor_set
from carbonsched.intensity.http.fetch import Fetcher, RefusedStatusError
from carbonsched.intensity.http.secret import Secret
from carbonsched.intensity.http.silence import Silence
from carbonsched.intensity.mix import (
    Step,
    Whole,
    known_points,
    slots,
    steps_of,
    without_holes,
)
from carbonsched.intensity.providers.entsoe_xml import Series, is_eic, read_document
from carbonsched.intensity.residual import LEARN_S, LOAD, TOTAL, VARIABLE, Relation
from carbonsched.intensity.roster import Roster
from carbonsched.model.intensity import Forecast, IntensitySeries, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.ports import Clock

BASE_URL = "https://web-api.tp.entsoe.eu/api"
MAX_BYTES = 24_000_000
BAN_S = 600
MAX_CALL_S = 14 * 86_400 + 3600
"""A fortnight and the hour begun: far below the year that is allowed, and yet megabytes of XML."""

LEAST_SHARE = Fraction(1, 5)
"""Below this share of the load, generation is taken to be reported in part."""

AHEAD_S = 3 * 86_400
_LEARN_AGAIN_S = 3600
_HOUR_S = 3600
_log = logging.getLogger(__name__)


def shared_fetcher(*, clock: Clock, timeout_s: float = 30.0) -> Fetcher:
    """One for all zones: the limit of 400 requests a minute, and the ban, are per token."""
    return Fetcher(
        name="entsoe",
        timeout_s=timeout_s,
        max_bytes=MAX_BYTES,
        settings="the token or domain of the zone's provider",
        silence=Silence(clock),
        busy_s=BAN_S,
    )


@dataclass(frozen=True, slots=True)
class _Learnt:
    at: int
    past: Sequence[Whole]


class EntsoeProvider:
    """One bidding zone, by its EIC code."""

    def __init__(
        self,
        *,
        zone: str,
        clock: Clock,
        domain: str,
        key: Secret,
        factors: FactorSet | None = None,
        base_url: str = BASE_URL,
        timeout_s: float = 30.0,
        fetcher: Fetcher | None = None,
    ) -> None:
        """``timeout_s`` bounds each request as a whole.

        Raises:
            ValueError: ``domain`` is no EIC code.
        """
        if not is_eic(domain):
            raise ValueError(
                f"{domain[:40]!a} is no EIC code of a bidding zone, such as 10YDK-1--------W"
            )
        self._factors = factors or factor_set()
        self._info = SeriesInfo(
            provider="entsoe",
            zone=zone,
            kind="average",
            basis="production",
            gas=self._factors.gas,
            scope=self._factors.scope,
            note=f"{domain}, ENTSO-E Transparency Platform, CC BY 4.0; {self._factors.label}",
        )
        self._clock = clock
        self._domain = domain
        self._key = key
        self._base_url = base_url
        self._fetcher = fetcher or shared_fetcher(clock=clock, timeout_s=timeout_s)
        self._roster = Roster("entsoe", domain)
        self._learnt: _Learnt | None = None

    @property
    def info(self) -> SeriesInfo:
        """Average, production; gas and scope are those of the factors."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The periods that touch the interval, are over, and whose mix is whole."""
        now = self._clock.now()
        until_at = min(end_at, now)
        if until_at <= start_at:
            return IntensitySeries(info=self._info, fetched_at=now, points=())
        past = self._past(start_at, until_at)
        known = known_points(past, start_at, until_at, now)
        return IntensitySeries(info=self._info, fetched_at=now, points=known)

    def forecast(self, now: int) -> Forecast | None:
        """As far as load, wind and solar are forecast: to the end of today or tomorrow.

        Raises:
            ProviderUnavailableError: one of what it rests on is not published.
        """
        from_at, to_at = now - now % _HOUR_S, now - now % _HOUR_S + AHEAD_S
        variable = {
            fuel: some
            for fuel, some in self._by_fuel(self._ask("A69", "A01", from_at, to_at)).items()
            if fuel in VARIABLE
        }
        load = self._total(self._ask("A65", "A01", from_at, to_at))
        if not load:
            raise ProviderUnavailableError(f"entsoe: no load forecast for {self._domain}")
        total = self._total(self._ask("A71", "A01", from_at, to_at))
        try:
            relation = Relation.learnt(self._recent(now), variable.keys(), self._factors)
        except ValueError as error:
            raise ProviderUnavailableError(
                f"entsoe: no forecast for {self._domain}: {error}"
            ) from None
        ahead = slots({**variable, LOAD: load, **({TOTAL: total} if total else {})})
        made = [relation.point(slot) for slot in ahead if slot.end_at > now]
        expected = tuple(point for point in made if point is not None)
        if not expected:
            raise ProviderUnavailableError(f"entsoe: no forecast for {self._domain} beyond now")
        return Forecast(info=self._info, issued_at=now, points=expected)

    def _recent(self, now: int) -> Sequence[Whole]:
        kept = self._learnt
        if kept is None or not kept.at <= now < kept.at + _LEARN_AGAIN_S:
            kept = _Learnt(now, self._past(now - LEARN_S, now))
            self._learnt = kept
        return kept.past

    def _past(self, start_at: int, end_at: int) -> list[Whole]:
        """The whole mixes, with the load beside them where it is known."""
        since_at = self._roster.since(start_at, end_at)
        series: dict[str, list[Step]] = {}
        fuels: dict[str, str] = {}
        load: list[Step] = []
        for from_at, to_at in _calls(since_at, end_at):
            for one in self._ask("A75", "A16", from_at, to_at):
                if one.consumption and not one.steps:
                    continue
                name = f"{one.psr_type} taken" if one.consumption else str(one.psr_type)
                sign = -1 if one.consumption else 1
                fuels[name] = entsoe_fuel(one.psr_type or "")
                series.setdefault(name, []).extend(
                    Step(step.start_at, step.end_at, sign * step.value) for step in one.steps
                )
            load += self._total(self._ask("A65", "A16", from_at, to_at))
        clean = {name: self._clean(steps, fuels[name]) for name, steps in series.items()}
        cut = slots({**clean, LOAD: self._clean(load)})
        found, partial = self._roster.whole(cut, fuels, self._factors, (since_at, end_at))
        enough = [one for one in found if _is_enough(one)]
        partial += len(found) - len(enough)
        if partial:
            _log.warning("entsoe: %d periods of %s are reported in part", partial, self._domain)
        return [one for one in enough if one.end_at > start_at]

    def _ask(self, document: str, process: str, from_at: int, to_at: int) -> tuple[Series, ...]:
        side = "outBiddingZone_Domain" if document == "A65" else "in_Domain"
        params: dict[str, str | Secret] = {
            "securityToken": self._key,
            "documentType": document,
            "processType": process,
            side: self._domain,
            "periodStart": _written(from_at),
            "periodEnd": _written(to_at),
        }
        try:
            text = self._fetcher.text(self._base_url, params)
        except RefusedStatusError as error:
            # "No matching data" comes under 200 and under 400.
            if error.status != 400 or b"</Acknowledgement_MarketDocument>" not in error.body:
                raise
            text = error.body.decode("utf-8", "replace")
        told = read_document(text, from_at, to_at)
        if told.faulty:
            _log.warning("entsoe: %d faulty points of %s are missing", told.faulty, document)
        return told.series

    def _total(self, series: Sequence[Series]) -> tuple[Step, ...]:
        """Load, or all generation: the series that are not what the zone's plants take."""
        # The load is itself what is taken, and there is nothing else in its documents.
        given = [one for one in series if not one.consumption] or series
        return self._clean([step for one in given for step in one.steps])

    def _by_fuel(self, series: Sequence[Series]) -> dict[str, tuple[Step, ...]]:
        found: dict[str, list[Step]] = {}
        for one in series:
            if not one.consumption:
                found.setdefault(entsoe_fuel(one.psr_type or ""), []).extend(one.steps)
        return {fuel: self._clean(steps) for fuel, steps in found.items()}

    def _clean(self, steps: Sequence[Step], fuel: str = STORAGE) -> tuple[Step, ...]:
        clean, faulty = steps_of(steps)
        if fuel not in UNSTEADY:
            clean, holes = without_holes(clean)
            faulty += holes
        if faulty:
            _log.warning("entsoe: %d points contradict others or are zeros: missing", faulty)
        return clean


def _is_enough(one: Whole) -> bool:
    load = one.beside.get(LOAD)
    return load is None or one.output.amount >= LEAST_SHARE * load


def _calls(start_at: int, end_at: int) -> Iterator[tuple[int, int]]:
    """Spans on the hour, each short enough for one call."""
    from_at = start_at - start_at % _HOUR_S
    while from_at < end_at:
        to_at = min(from_at + MAX_CALL_S, end_at + -end_at % _HOUR_S)
        yield from_at, to_at
        from_at = to_at


def _written(at: int) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y%m%d%H%M")
