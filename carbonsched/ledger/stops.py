"""Runs that were stopped, or are being stopped, so that their jobs go on in cleaner windows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.jobs import KEY_MATCH
from carbonsched.model.job import JobKey
from carbonsched.model.stop import Stop, StopState

NEXT_RUN_S = 86_400
"""A run that is submitted later than this after the requeue is another job: ids wrap."""


class StopTable:
    """The ``stops`` table: one row for each run that was told to stop."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def save(self, stop: Stop) -> None:
        """Write a stop as far as it has come."""
        row = asdict(stop)
        self._file.replace("stops", [row.pop("key") | row])

    def of(self, key: JobKey) -> Stop | None:
        """The stop of one run."""
        row = self._file.row(f"SELECT * FROM stops WHERE {KEY_MATCH}", **asdict(key))
        return _read(row) if row else None

    def before(self, key: JobKey) -> Stop | None:
        """The stop of ours that made this run: of the run before, under the same id."""
        if not key.restarts:
            return None
        row = self._file.row(
            "SELECT * FROM stops WHERE cluster = :cluster AND job_id = :job_id"
            " AND restarts = :before AND state IN ('requeueing', 'requeued')"
            " AND submitted_at < :submitted_at"
            " AND :submitted_at - changed_at BETWEEN :slack AND :most_s"
            " ORDER BY submitted_at DESC LIMIT 1",
            cluster=key.cluster, job_id=key.job_id, submitted_at=key.submitted_at,
            before=key.restarts - 1, slack=-NEXT_RUN_S, most_s=NEXT_RUN_S,
        )  # fmt: skip
        return _read(row) if row else None

    def under_way(self, cluster: str) -> list[Stop]:
        """The stops of a cluster that have not come to their end, the oldest first."""
        rows = self._file.rows(
            "SELECT * FROM stops WHERE cluster = :cluster"
            " AND state IN ('signalling', 'signalled', 'requeueing') ORDER BY at, job_id",
            cluster=cluster,
        )
        return [_read(row) for row in rows]


def _read(row: dict[str, Any]) -> Stop:
    key = JobKey(**{name: row.pop(name) for name in JobKey.__dataclass_fields__})
    return Stop(key=key, **row | {"state": StopState(row["state"])})
