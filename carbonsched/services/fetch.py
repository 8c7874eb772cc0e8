"""Fetching intensities and forecasts into the archive."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from carbonsched.errors import CarbonschedError, ProviderUnavailableError
from carbonsched.intensity.chain import Chain, Failure
from carbonsched.ledger import Ledger
from carbonsched.model.intensity import Forecast
from carbonsched.ports import Clock
from carbonsched.services.reopen import KeepActuals

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
    """What one provider answered to one question; ``why`` says what kept it from answering.

    ``idle`` is a provider that had nothing, or was not asked because better ones had told all.
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
    """

    def __init__(
        self,
        chains: Mapping[str, Chain],
        ledger: Ledger,
        clock: Clock,
        settle_lag_s: int,
        *,
        keeper: KeepActuals,
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
        self._deep_at: dict[str, int] = {}

    def run(self) -> str:
        """Fetch every zone; one that fails does not keep the others from being fetched.

        Raises:
            ProviderUnavailableError: the providers that failed, once all have been asked.
        """
        fetched = self.each()
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

    def each(self) -> list[Fetched]:
        """Fetch every zone, and say what came of each question to each provider."""
        fetched: list[Fetched] = []
        for zone, chain in self._chains.items():
            fetched += self._actuals(chain)
            fetched += self._forecast(chain, "forecast")
            if zone in self._rankings:
                fetched += self._forecast(self._rankings[zone], "ranking")
            fetched += self._made_here(zone)
        return fetched

    def _actuals(self, chain: Chain) -> list[Fetched]:
        now = self._clock.now()
        told = chain.actuals(self._since(chain.zone, now), now, settle_lag_s=self._settle_lag_s)
        failed = _failures(chain, "actual")
        if failed and self._deep_at[chain.zone] == now:
            self._deep_at[chain.zone] = now - DEEP_EVERY_S + DEEP_AGAIN_S
        answers = []
        for series in told:
            name = series.info.provider
            if name in failed and not series.points:
                answers.append(_failed(chain.zone, "actual", failed[name]))
                continue
            new = self._keeper.keep(series)
            count = len(series.points)
            answers.append(
                Fetched(
                    zone=chain.zone, provider=name, what="actual",
                    status="ok" if count else "idle", values=count, new=new,
                )
            )  # fmt: skip
        return answers

    def _since(self, zone: str, now: int) -> int:
        """Since when to ask: once a day for the last weeks, in one question as services like it.

        Where it failed, that is asked again an hour later, and meanwhile for what is recent.
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
            answer = Fetched(zone=chain.zone, provider=info.provider, what=what, status="idle")
            if forecast is not None and forecast.info.provider == info.provider:
                new = int(self._ledger.archive.add_forecast(forecast, now))
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
        new = self._ledger.archive.add_forecast(forecast, now, inputs)
        return [
            Fetched(zone=zone, provider=forecast.info.provider, what="own", status="ok",
                    values=len(forecast.points), new=int(new), why=inputs)
        ]  # fmt: skip


def _failures(chain: Chain, operation: str) -> dict[str, Failure]:
    return {one.provider: one for one in chain.failures if one.operation == operation}


def _failed(zone: str, what: Literal["actual", "forecast", "ranking"], failure: Failure) -> Fetched:
    return Fetched(
        zone=zone, provider=failure.provider, what=what, status="failed", why=failure.text
    )
