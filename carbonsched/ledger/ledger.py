"""The ledger as the services see it: its tables, and one transaction over all of them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from carbonsched.ledger.archive import Archive
from carbonsched.ledger.audits import AuditTable
from carbonsched.ledger.budgets import BudgetTable, PilotTable
from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.entries import EntryTable
from carbonsched.ledger.jobs import JobTable
from carbonsched.ledger.lost_ends import LostEndTable
from carbonsched.ledger.plans import PlanTable
from carbonsched.ledger.pues import PueTable
from carbonsched.ledger.readings import ReadingTable
from carbonsched.ledger.stops import StopTable


class Ledger:
    """Opens the file, applies pending migrations, and hands out the tables.

    Raises:
        LedgerError: the file cannot be opened, is locked, or is not a ledger.
    """

    def __init__(self, path: Path) -> None:
        self._file = LedgerFile(path)
        self.jobs = JobTable(self._file)
        self.readings = ReadingTable(self._file)
        self.archive = Archive(self._file)
        self.plans = PlanTable(self._file)
        self.entries = EntryTable(self._file)
        self.pues = PueTable(self._file)
        self.lost_ends = LostEndTable(self._file)
        self.audits = AuditTable(self._file)
        self.stops = StopTable(self._file)
        self.budgets = BudgetTable(self._file)
        self.pilots = PilotTable(self._file)

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing over every table."""
        return self._file.transaction()

    def optimise(self) -> None:
        """Fold the write-ahead log back and refresh the query planner's statistics."""
        self._file.optimise()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
