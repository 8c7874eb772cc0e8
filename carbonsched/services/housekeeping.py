"""Tidying: nothing that was charged or planned by is ever removed."""

from __future__ import annotations

from carbonsched.ledger import Ledger
from carbonsched.ports import Clock

FORECASTS_S = 400 * 86_400
"""For how long every forecast is kept: a year to learn from and to judge by, and a month more."""
THINNED_TO_S = 6 * 3600
"""How many of the older ones stay: the first in each six hours, as far as no plan needs others."""
_WINDOW_S = 8 * 86_400
"""How far back each round looks for what became old; the first looks at everything."""


class KeepHouse:
    """Folds SQLite's log back into the file, refreshes its statistics, thins old forecasts."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._since_at = 0

    def run(self) -> str:
        """Do it now."""
        before_at = self._clock.now() - FORECASTS_S
        removed = self._ledger.archive.issues.thin(self._since_at, before_at, THINNED_TO_S)
        self._since_at = max(0, before_at - _WINDOW_S)
        self._ledger.optimise()
        return f"ledger optimised, {removed} old forecasts removed"
