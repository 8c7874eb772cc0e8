"""Tidying: nothing that was charged, planned or forecast is ever removed."""

from __future__ import annotations

from carbonsched.ledger import Ledger


class KeepHouse:
    """Folds SQLite's log back into the file and refreshes its statistics."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def run(self) -> str:
        """Do it now."""
        self._ledger.optimise()
        return "ledger optimised"
