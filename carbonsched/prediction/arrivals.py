"""How much work will come that nobody has submitted yet, learnt from what has come so far."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_HOUR_S = 3600
_HOURS = 24
_PRIOR_DAYS = 2.0
"""So many days of the overall mean are mixed into each hour of the day."""


class Arrivals:
    """Node-seconds of work by the hour of the day at which it was submitted."""

    def __init__(self) -> None:
        self._work: Floats = np.zeros(_HOURS)
        self._since: int | None = None

    def submitted(self, now: int, node_s: float) -> None:
        """Work has come, as far as it is known."""
        if self._since is None:
            self._since = now
        self._work[now // _HOUR_S % _HOURS] += node_s

    def corrected(self, submitted_at: int, by_node_s: float) -> None:
        """It turned out to be more than was thought, or less."""
        self._work[submitted_at // _HOUR_S % _HOURS] += by_node_s

    def expected(self, now: int, hours: int) -> Floats:
        """Node-seconds to come in each of the next ``hours`` hours; 0 if nothing is known."""
        if self._since is None:
            return np.zeros(hours)
        # A first hour says little: what came in it counts as a day's until a day is over.
        days = max(1.0, (now - self._since) / (_HOUR_S * _HOURS))
        mean = self._work.sum() / _HOURS / days
        by_hour = (self._work + _PRIOR_DAYS * mean) / (days + _PRIOR_DAYS)
        result: Floats = np.maximum(0.0, by_hour[(now // _HOUR_S + np.arange(hours)) % _HOURS])
        return result
