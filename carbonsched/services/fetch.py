"""Fetching intensities and forecasts into the archive."""

from __future__ import annotations

from collections.abc import Mapping

from carbonsched.errors import ProviderUnavailableError
from carbonsched.intensity.chain import Chain
from carbonsched.ledger import Ledger
from carbonsched.ports import Clock

OVERLAP_S = 48 * 3600
"""How far back each fetch asks again: providers revise the last day or two."""


class FetchIntensity:
    """Asks each zone's chain for what is known and what is expected, and keeps both as told."""

    def __init__(
        self, chains: Mapping[str, Chain], ledger: Ledger, clock: Clock, settle_lag_s: int
    ) -> None:
        self._chains = chains
        self._ledger = ledger
        self._clock = clock
        self._settle_lag_s = settle_lag_s

    def run(self) -> str:
        """Fetch every zone; one that fails does not keep the others from being fetched.

        Raises:
            ProviderUnavailableError: the providers that failed, once all have been asked.
        """
        points = forecasts = 0
        problems: list[str] = []
        for chain in self._chains.values():
            points += self._actuals(chain)
            forecasts += self._forecast(chain)
            problems += [f"zone {chain.zone}: {problem}" for problem in chain.problems]
        if problems:
            raise ProviderUnavailableError("; ".join(problems))
        return f"{points} new values, {forecasts} new forecasts"

    def _actuals(self, chain: Chain) -> int:
        now = self._clock.now()
        told = chain.actuals(now - OVERLAP_S, now, settle_lag_s=self._settle_lag_s)
        return sum(self._ledger.archive.add_actual(series) for series in told)

    def _forecast(self, chain: Chain) -> int:
        now = self._clock.now()
        forecast = chain.forecast(now)
        return int(forecast is not None and self._ledger.archive.add_forecast(forecast, now))
