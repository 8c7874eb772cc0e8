"""Runs of jobs whose budgets do not last, and what was decided on pilots."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.jobs import KEY_MATCH
from carbonsched.model.budget import UNDER_WAY, BudgetCase, BudgetState
from carbonsched.model.job import JobKey
from carbonsched.model.pilot import PilotDecision

_UNDER_WAY = ", ".join(f"'{state}'" for state in UNDER_WAY)


class BudgetTable:
    """The ``budgets`` table: one row for each run that was warned or ended."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def save(self, case: BudgetCase) -> None:
        """Write how far a run has come."""
        row = asdict(case)
        self._file.replace("budgets", [row.pop("key") | row])

    def of(self, key: JobKey) -> BudgetCase | None:
        """The case of one run."""
        row = self._file.row(f"SELECT * FROM budgets WHERE {KEY_MATCH}", **asdict(key))
        return _case(row) if row else None

    def ending(self, key: JobKey) -> bool:
        """Whether a run is being ended, or was."""
        case = self.of(key)
        return case is not None and case.state is not BudgetState.WARNED

    def under_way(self, cluster: str) -> list[BudgetCase]:
        """The runs of a cluster that are being ended, the oldest first."""
        rows = self._file.rows(
            f"SELECT * FROM budgets WHERE cluster = :cluster AND state IN ({_UNDER_WAY})"
            " ORDER BY at, job_id",
            cluster=cluster,
        )
        return [_case(row) for row in rows]


class PilotTable:
    """The ``pilots`` table: one row for each pilot whose first epoch is complete."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def save(self, decision: PilotDecision) -> None:
        """Write what was decided."""
        row = asdict(decision) | {"stopped": int(decision.stopped)}
        self._file.replace("pilots", [row.pop("key") | row])

    def of(self, key: JobKey) -> PilotDecision | None:
        """What was decided on one run."""
        row = self._file.row(f"SELECT * FROM pilots WHERE {KEY_MATCH}", **asdict(key))
        if row is None:
            return None
        key = _key(row)
        return PilotDecision(key=key, **row | {"stopped": bool(row["stopped"])})


def _key(row: dict[str, Any]) -> JobKey:
    return JobKey(**{name: row.pop(name) for name in JobKey.__dataclass_fields__})


def _case(row: dict[str, Any]) -> BudgetCase:
    key = _key(row)
    return BudgetCase(key=key, **row | {"state": BudgetState(row["state"])})
