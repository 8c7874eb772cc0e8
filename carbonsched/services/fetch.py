"""Fetching intensities and forecasts into the archive."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from carbonsched.errors import CarbonschedError, ProviderUnavailableError
from carbonsched.intensity.chain import Chain, Failure
from carbonsched.ledger import Ledger
from carbonsched.model.intensity import Forecast
from carbonsched.ports import Clock
from carbonsched.services.reopen import KeepActuals
from carbonsched.services.ticks import Writer

OVERLAP_S = 48 * 3600
"""How far back each fetch asks again: providers revise the last day or two."""
DEEP_S = 40 * 86_400
"""How far back is asked once a day: settled values come weeks late."""
DEEP_EVERY_S = 86_400
DEEP_AGAIN_S = 3600
_LOGGER = logging.getLogger(__name__)


class OwnForecaster(Protocol):
    """Makes our own forecast of a zone from the archive."""

    def issue(self, zone: str, now: int) -> tuple[Forecast, str] | None:
        """The forecast and what it was made from; ``None`` where too little is known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What one provider answered to one question; ``why`` says what kept it from telling all.

    ``idle`` is a provider that had nothing, whose turn has not come, or that was not asked because
    better ones had told all.
    """

    zone: str
    provider: str
    what: Literal["actual", "forecast", "ranking", "own"]
    status: Literal["ok", "idle", "failed"]
    values: int = 0
    new: int = 0
    why: str = ""


class FetchIntensity:
    """Asks each zone's chain for what is known and what is expected, and keeps both as told.

    ``rankings`` are chains for comparing hours only. Nothing but their forecasts is asked for.
    ``writer`` is held to keep what was told, never while a provider is asked.
    """

    def __init__(
        self,
        chains: Mapping[str, Chain],
        ledger: Ledger,
        clock: Clock,
        settle_lag_s: int,
        *,
        keeper: KeepActuals,
        writer: Writer,
        rankings: Mapping[str, Chain] | None = None,
        own: OwnForecaster | None = None,
    ) -> None:
        self._chains = chains
        self._rankings = rankings or {}
        self._ledger = ledger
        self._clock = clock
        self._settle_lag_s = settle_lag_s
        self._keeper = keeper
        self._own = own
        self._writer = writer
        self._deep_at: dict[str, int] = {}
        self._waiting: dict[str, None] = {}  # in the order in which they began to wait
        self._one_at_a_time = threading.Lock()

    def run(self) -> str:
        """Fetch every zone; one that fails does not keep the others from being fetched.

        Raises:
            ProviderUnavailableError: the providers that failed, once all have been asked.
        """
        return _summary(self.each())

    def catch_up(self) -> str:
        """Fetch the zones of which a provider's turn had not come; cheap where there are none.

        Raises:
            ProviderUnavailableError: as :meth:`run`.
        """
        return _summary(self._each(others=()))

    def each(self) -> list[Fetched]:
        """Fetch every zone, and say what came of each question to each provider."""
        return self._each(others=self._chains)

    def _each(self, others: Iterable[str]) -> list[Fetched]:
        """Those first that have waited for their turn, the longest first, then the others."""
        with self._one_at_a_time:
            zones = dict.fromkeys([*self._waiting, *others])
            return [one for zone in zones for one in self._zone(zone)]

    def _zone(self, zone: str) -> list[Fetched]:
        chain, ranking = self._chains[zone], self._rankings.get(zone)
        fetched = [*self._actuals(chain), *self._forecast(chain, "forecast")]
        if ranking is not None:
            fetched += self._forecast(ranking, "ranking")
        fetched += self._made_here(zone)
        paced = chain.paced("actual") or chain.paced("forecast")
        if paced or (ranking is not None and ranking.paced("forecast")):
            self._waiting.setdefault(zone)
        else:
            self._waiting.pop(zone, None)
        return fetched

    def _actuals(self, chain: Chain) -> list[Fetched]:
        now = self._clock.now()
        told = chain.actuals(self._since(chain.zone, now), now, settle_lag_s=self._settle_lag_s)
        failed = _failures(chain, "actual")
        if self._deep_at[chain.zone] == now:
            if chain.paced("actual"):
                del self._deep_at[chain.zone]
            elif failed or any(series.incomplete for series in told):
                self._deep_at[chain.zone] = now - DEEP_EVERY_S + DEEP_AGAIN_S
        answers = []
        for series in told:
            name = series.info.provider
            if name in failed and not series.points:
                answers.append(_failed(chain.zone, "actual", failed[name]))
                continue
            with self._writer():
                new = self._keeper.keep(series)
            count = len(series.points)
            answers.append(
                Fetched(
                    zone=chain.zone, provider=name, what="actual",
                    status="ok" if count else "idle", values=count, new=new,
                    why=chain.paced("actual").get(name, series.incomplete),
                )
            )  # fmt: skip
        return answers

    def _since(self, zone: str, now: int) -> int:
        """Since when to ask: once a day for the last weeks, in one question as services like it.

        Where it failed or was incomplete, that is asked again an hour later, and meanwhile for what
        is recent.
        """
        if now - self._deep_at.get(zone, now - DEEP_EVERY_S) < DEEP_EVERY_S:
            return now - OVERLAP_S
        self._deep_at[zone] = now
        return now - DEEP_S

    def _forecast(self, chain: Chain, what: Literal["forecast", "ranking"]) -> list[Fetched]:
        now = self._clock.now()
        forecast = chain.forecast(now)
        failed = _failures(chain, "forecast")
        answers = [_failed(chain.zone, what, failure) for failure in failed.values()]
        for info in chain.infos:
            if info.provider in failed:
                continue
            why = chain.paced("forecast").get(info.provider, "")
            answer = Fetched(
                zone=chain.zone, provider=info.provider, what=what, status="idle", why=why
            )
            if forecast is not None and forecast.info.provider == info.provider:
                new = int(self._keep(forecast, now))
                answer = replace(answer, status="ok", values=len(forecast.points), new=new)
            answers.append(answer)
        return answers

    def _made_here(self, zone: str) -> list[Fetched]:
        """Our own forecast from what the archive now holds; a fault of it stops nothing else."""
        if self._own is None:
            return []
        now = self._clock.now()
        try:
            made = self._own.issue(zone, now)
        except (CarbonschedError, ValueError, ArithmeticError) as error:
            _LOGGER.exception("zone %s: no forecast of our own", zone)
            return [
                Fetched(zone=zone, provider="carbonsched", what="own", status="failed",
                        why=f"our own forecast: {error}")
            ]  # fmt: skip
        if made is None:
            return []
        forecast, inputs = made
        new = self._keep(forecast, now, inputs)
        return [
            Fetched(zone=zone, provider=forecast.info.provider, what="own", status="ok",
                    values=len(forecast.points), new=int(new), why=inputs)
        ]  # fmt: skip

    def _keep(self, forecast: Forecast, now: int, note: str = "") -> bool:
        with self._writer():
            return self._ledger.archive.add_forecast(forecast, now, note)


def _summary(fetched: list[Fetched]) -> str:
    """What was new, in words; ``ProviderUnavailableError`` where some failed."""
    problems = dict.fromkeys(
        f"zone {one.zone}: {one.why}" for one in fetched if one.status == "failed"
    )
    if problems:
        raise ProviderUnavailableError("; ".join(problems))
    points = sum(one.new for one in fetched if one.what == "actual")
    forecasts = sum(one.new for one in fetched if one.what in {"forecast", "ranking"})
    own = sum(one.new for one in fetched if one.what == "own")
    told = f"{points} new values, {forecasts} new forecasts"
    return f"{told}, {own} of our own" if own else told


def _failures(chain: Chain, operation: str) -> dict[str, Failure]:
    return {one.provider: one for one in chain.failures if one.operation == operation}


def _failed(zone: str, what: Literal["actual", "forecast", "ranking"], failure: Failure) -> Fetched:
    return Fetched(
        zone=zone, provider=failure.provider, what=what, status="failed", why=failure.text
    )
