"""Jobs as Slurm last told, with what their owners asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.model.directives import Directives
from carbonsched.model.job import Job, JobKey

KEY_MATCH = (
    "cluster = :cluster AND job_id = :job_id AND submitted_at = :submitted_at"
    " AND restarts = :restarts"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """A job with its directives; ``None`` where its owner never asked anything of us."""

    job: Job
    directives: Directives | None
    first_seen_at: int
    seen_at: int


class JobTable:
    """The ``jobs`` table."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def save(self, jobs: list[tuple[Job, Directives | None]], now: int) -> None:
        """Write what Slurm told; directives once known are kept when none are given."""
        with self._file.transaction():
            for job, directives in jobs:
                before = self.get(job.key)
                kept = directives or (before.directives if before else None)
                row = _row(job) | {
                    "directives": json.dumps(asdict(kept)) if kept else None,
                    "first_seen_at": before.first_seen_at if before else now,
                    "seen_at": now,
                }
                self._file.replace("jobs", [row])

    def get(self, key: JobKey) -> KnownJob | None:
        """One job by its whole key."""
        row = self._file.row(f"SELECT * FROM jobs WHERE {KEY_MATCH}", **asdict(key))
        return _known(row) if row else None

    def open(self, cluster: str) -> list[KnownJob]:
        """Jobs of one cluster that were pending or active when last seen."""
        rows = self._file.rows(
            "SELECT * FROM jobs WHERE cluster = :cluster AND ended_at IS NULL", cluster=cluster
        )
        return [known for known in map(_known, rows) if not known.job.ended]

    def select(
        self,
        *,
        user: str | None = None,
        account: str | None = None,
        job_id: int | None = None,
        since_at: int = 0,
        until_at: int | None = None,
    ) -> list[KnownJob]:
        """Jobs that were there in ``[since_at, until_at)``, by submission."""
        rows = self._file.rows(
            "SELECT * FROM jobs WHERE (:user IS NULL OR user = :user)"
            " AND (:account IS NULL OR account = :account)"
            " AND (:job_id IS NULL OR job_id = :job_id OR array_job_id = :job_id"
            "      OR het_job_id = :job_id)"
            " AND COALESCE(ended_at, 9223372036854775807) >= :since_at"
            " AND (:until_at IS NULL OR COALESCE(started_at, submitted_at) < :until_at)"
            " ORDER BY submitted_at, job_id, restarts",
            user=user, account=account, job_id=job_id, since_at=since_at, until_at=until_at,
        )  # fmt: skip
        return [_known(row) for row in rows]

    def unsettled(self, cluster: str) -> list[KnownJob]:
        """Jobs that have started and whose figures are not final yet."""
        rows = self._file.rows(
            "SELECT jobs.* FROM jobs LEFT JOIN settlements USING"
            " (cluster, job_id, submitted_at, restarts)"
            " WHERE jobs.cluster = :cluster AND jobs.started_at IS NOT NULL"
            " AND COALESCE(settlements.final, 0) = 0 ORDER BY jobs.submitted_at",
            cluster=cluster,
        )
        return [_known(row) for row in rows]

    def latest_run(self, cluster: str, job_id: int) -> KnownJob | None:
        """The newest run under a job id."""
        row = self._file.row(
            "SELECT * FROM jobs WHERE cluster = :cluster AND job_id = :job_id"
            " ORDER BY submitted_at DESC, restarts DESC LIMIT 1",
            cluster=cluster, job_id=job_id,
        )  # fmt: skip
        return _known(row) if row else None


def _row(job: Job) -> dict[str, Any]:
    row = asdict(job)
    row.update(row.pop("key"))
    row["nodes"] = " ".join(job.nodes)
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """Text that SQLite stores: names from the system may hold bytes that are not UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return value


def _known(row: dict[str, Any]) -> KnownJob:
    fields = dict(row)
    directives = fields.pop("directives")
    first_seen_at, seen_at = fields.pop("first_seen_at"), fields.pop("seen_at")
    key = JobKey(**{name: fields.pop(name) for name in JobKey.__dataclass_fields__})
    fields["nodes"] = tuple(fields["nodes"].split())
    return KnownJob(
        job=Job(key=key, **fields),
        directives=Directives(**json.loads(directives)) if directives else None,
        first_seen_at=first_seen_at,
        seen_at=seen_at,
    )
