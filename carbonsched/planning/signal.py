"""A forecast as a job's milligrams: what its windows emit, exactly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from carbonsched.model.intensity import Forecast
from carbonsched.model.spread import Spread
from carbonsched.planning.lengths import Floats
from carbonsched.planning.request import Place
from carbonsched.planning.series import Cumulative, Integers
from carbonsched.units import J_PER_KWH, PPM

_DAY_S = 86_400
_SPREADS = 50_000


class Signal:
    """What is known of a zone's intensity from ``now`` on, with the facility's PUE.

    Where a day or more is known, another like its last is taken to follow: jobs are long, and
    nights come again. Less is not repeated.
    """

    def __init__(self, forecast: Forecast, now: int, pue_ppm: int) -> None:
        self._sums = Cumulative(forecast, now)
        self.start_at = now
        self.end_at = self._sums.end_at
        self._goes_on = self.end_at - now >= _DAY_S
        self._mg_per_integral = pue_ppm / (J_PER_KWH * PPM)

    def mg_per_watt(self, edges: Integers) -> Floats:
        """What a watt emits between each instant and the next."""
        integrals = np.diff(self._sums.upto(edges)).astype(np.float64)
        mg: Floats = integrals * self._mg_per_integral
        return mg

    def known_length_mg(self, place: Place, starts: Integers) -> Floats | None:
        """What a whole job emits by start; ``None`` where its length is not known."""
        if len(place.length.seconds) > 1:
            return None
        return self.lasting_mg(place.watts, starts, place.length.seconds[0])

    def lasting_mg(self, watts: float, starts: Integers, length_s: float) -> Floats:
        """What so much power for so long emits by start."""
        integrals = self._sums.windows(starts, max(1, round(length_s)))
        mg: Floats = integrals.astype(np.float64) * (watts * self._mg_per_integral)
        return mg

    def mass_mg(self, place: Place, start_at: int) -> float:
        """What a whole job is expected to emit if it starts then."""
        offsets, shares = _ends(place.length)
        upto = self._sums.upto(start_at + offsets)
        return place.watts * float((upto[1:] - upto[0]) @ shares) * self._mg_per_integral

    def covers(self, start_at: int, length: Spread) -> bool:
        """Whether a job that starts then can be weighed."""
        return self.start_at <= start_at <= self.last_start(length)

    def last_start(self, length: Spread) -> int:
        """The last start that can be weighed."""
        if self._goes_on:
            return self.end_at - 1
        return self.end_at - max(1, round(length.mean_s))


@lru_cache(maxsize=_SPREADS)
def _ends(length: Spread) -> tuple[Integers, Floats]:
    """Seconds from the start to the start itself and to each possible end; shares that sum to 1."""
    seconds = np.maximum(1, np.rint(length.seconds)).astype(np.int64)
    weights = np.array(length.weights)
    return np.concatenate(([0], seconds)), weights / weights.sum()
