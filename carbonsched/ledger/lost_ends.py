"""Ends of jobs that a node missed: the epilog is not there, and Slurm's record closes the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.model.job import JobKey

LostEnds = Mapping[tuple[JobKey, str], int]
"""When a run ended by Slurm's record, by the run and the node that was told so."""

_COLUMNS = "cluster, job_id, submitted_at, restarts, node, ended_at"


class LostEndTable:
    """The ``lost_ends`` table: what a node was told once stands, whatever it says later."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def add(self, key: JobKey, node: str, ended_at: int, now: int) -> bool:
        """Keep that a node was told a run's end; ``False``, and no write, if that is known."""
        if (key, node) in self.of_id(key.cluster, key.job_id):
            return False
        row = asdict(key) | {"node": node, "ended_at": ended_at, "told_at": now}
        return self._file.insert_new("lost_ends", [row]) > 0

    def of_id(self, cluster: str, job_id: int) -> LostEnds:
        """Those of every run under a job id."""
        rows = self._file.rows(
            f"SELECT {_COLUMNS} FROM lost_ends WHERE cluster = :cluster AND job_id = :job_id",
            cluster=cluster, job_id=job_id,
        )  # fmt: skip
        return _by_run(rows)

    def between(self, cluster: str, since_at: int, until_at: int) -> LostEnds:
        """Those of runs that ended in ``[since_at, until_at)``."""
        rows = self._file.rows(
            f"SELECT {_COLUMNS} FROM lost_ends WHERE cluster = :cluster"
            " AND ended_at >= :since_at AND ended_at < :until_at",
            cluster=cluster, since_at=since_at, until_at=until_at,
        )  # fmt: skip
        return _by_run(rows)


def _by_run(rows: list[dict[str, Any]]) -> LostEnds:
    found = {}
    for row in rows:
        node, ended_at = row.pop("node"), row.pop("ended_at")
        found[JobKey(**row), node] = ended_at
    return found
