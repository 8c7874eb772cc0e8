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
_KEY = tuple(JobKey.__dataclass_fields__)
_DONE_BEFORE = (
    "COALESCE((SELECT done_s FROM stops AS before WHERE before.cluster = jobs.cluster"
    " AND before.job_id = jobs.job_id AND before.restarts = jobs.restarts - 1"
    " AND before.submitted_at < jobs.submitted_at AND before.state IN ('requeueing', 'requeued')"
    " ORDER BY before.submitted_at DESC LIMIT 1), 0)"
)
"""What a job that we stopped had done before this run."""
_NOT_STOPPED = (
    f"NOT EXISTS (SELECT 1 FROM stops WHERE ({', '.join(f'stops.{one}' for one in _KEY)})"
    f" = ({', '.join(f'jobs.{one}' for one in _KEY)}) AND stops.state != 'left')"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """A job with its directives; ``None`` where its owner never asked anything of us.

    ``begin_at`` is the owner's own ``--begin``, which a plan never undercuts.
    """

    job: Job
    directives: Directives | None
    begin_at: int | None
    first_seen_at: int
    seen_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """How long a run was that nothing but itself, its owner or its limit has ended; seconds."""

    key: JobKey
    user: str
    cpus: int
    requested_s: int
    ran_s: int
    ended_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedRun:
    """A run that completed. ``energy_j`` is ``None`` where not all of it is in.

    ``done_s`` is what its job had done in runs before, which we stopped; the energy is not told
    then, for it is that of the last piece.
    """

    job: Job
    script_digest: str | None
    done_s: int
    energy_j: int | None


class JobTable:
    """The ``jobs`` table."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def save(self, known: KnownJob) -> None:
        """Write a job as it is now known."""
        row = _row(known.job) | {
            "directives": json.dumps(asdict(known.directives)) if known.directives else None,
            "begin_at": known.begin_at,
            "first_seen_at": known.first_seen_at,
            "seen_at": known.seen_at,
        }
        self._file.replace("jobs", [row])

    def moved(self, key: JobKey, begin_at: int, note: str) -> None:
        """Record that Slurm took a new begin time and admin comment for a job."""
        self._file.change(
            f"UPDATE jobs SET eligible_at = :begin_at, admin_comment = :note WHERE {KEY_MATCH}",
            begin_at=begin_at,
            note=note,
            **asdict(key),
        )

    def get(self, key: JobKey) -> KnownJob | None:
        """One job by its whole key."""
        row = self._file.row(f"SELECT * FROM jobs WHERE {KEY_MATCH}", **asdict(key))
        return _known(row) if row else None

    def by_submission(self, cluster: str, job_id: int, submitted_at: int) -> KnownJob | None:
        """One job by what slurmdbd knows of its key: it does not tell restarts."""
        row = self._file.row(
            "SELECT * FROM jobs WHERE cluster = :cluster AND job_id = :job_id"
            " AND submitted_at = :submitted_at ORDER BY restarts DESC LIMIT 1",
            cluster=cluster,
            job_id=job_id,
            submitted_at=submitted_at,
        )
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

    def completed(self, user: str, since_at: int) -> list[CompletedRun]:
        """A user's completed runs, newest first."""
        return self._completed("user = :user", since_at, 500, user=user)

    def completed_on(self, cluster: str, since_at: int, most: int) -> list[CompletedRun]:
        """The same of everybody's runs on one cluster: the newest ``most``."""
        return self._completed("jobs.cluster = :cluster", since_at, most, cluster=cluster)

    def _completed(
        self, whose: str, since_at: int, most: int, **parameters: str
    ) -> list[CompletedRun]:
        rows = self._file.rows(
            "SELECT jobs.*, settlements.energy_j AS metered_j, settlements.quality AS quality,"
            f" settlements.complete AS complete, {_DONE_BEFORE} AS done_s"
            " FROM jobs LEFT JOIN settlements USING"
            " (cluster, job_id, submitted_at, restarts)"
            f" WHERE {whose} AND state = 'COMPLETED' AND ended_at >= :since_at"
            " ORDER BY ended_at DESC LIMIT :most",
            since_at=since_at,
            most=most,
            **parameters,
        )
        runs = []
        for row in rows:
            metered_j, quality, complete, done_s = (
                row.pop(n) for n in ("metered_j", "quality", "complete", "done_s")
            )
            whole = complete and not done_s and quality in ("measured", "sampled", "modelled")
            known = _known(row)
            runs.append(
                CompletedRun(
                    job=known.job,
                    script_digest=known.directives.script_digest if known.directives else None,
                    done_s=done_s,
                    energy_j=metered_j if whole else None,
                )
            )
        return runs

    def ended(self, cluster: str, since_at: int, most: int) -> list[EndedRun]:
        """Runs of everybody with a time limit that have ended since then: the newest ``most``.

        Not those that a node or a requeue ended: they say nothing of the job. A job that we
        stopped is one, of the length of all its pieces.
        """
        rows = self._file.rows(
            f"SELECT {', '.join(_KEY)}, user, cpus, time_limit_s AS requested_s,"
            f" ended_at - started_at + {_DONE_BEFORE} AS ran_s, ended_at FROM jobs"
            " WHERE cluster = :cluster AND ended_at >= :since_at AND ended_at > started_at"
            " AND time_limit_s > 0"
            " AND state IN ('COMPLETED', 'FAILED', 'TIMEOUT', 'OUT_OF_MEMORY', 'CANCELLED')"
            f" AND {_NOT_STOPPED}"
            " ORDER BY ended_at DESC LIMIT :most",
            cluster=cluster, since_at=since_at, most=most,
        )  # fmt: skip
        keys = [JobKey(**{name: row.pop(name) for name in _KEY}) for row in rows]
        return [EndedRun(key=key, **row) for key, row in zip(keys, rows, strict=True)]

    def marked(self, cluster: str, since_at: int, most: int) -> list[KnownJob]:
        """Jobs with our mark that were submitted since then, the newest first; no requeued runs."""
        rows = self._file.rows(
            "SELECT * FROM jobs WHERE cluster = :cluster AND submitted_at >= :since_at"
            " AND directives IS NOT NULL AND restarts = 0"
            " AND (ended_at IS NULL OR ended_at >= :since_at)"  # there is an index of that
            " ORDER BY submitted_at DESC, job_id DESC LIMIT :most",
            cluster=cluster, since_at=since_at, most=most,
        )  # fmt: skip
        return [_known(row) for row in rows]

    def unsettled(self, cluster: str, now: int) -> list[KnownJob]:
        """Jobs that have started and whose figures may change now: not final, and due."""
        rows = self._file.rows(
            "SELECT jobs.* FROM jobs LEFT JOIN settlements USING"
            " (cluster, job_id, submitted_at, restarts)"
            " WHERE jobs.cluster = :cluster AND jobs.started_at IS NOT NULL"
            " AND COALESCE(settlements.final, 0) = 0 AND COALESCE(settlements.due_at, 0) <= :now"
            " ORDER BY jobs.submitted_at",
            cluster=cluster, now=now,
        )  # fmt: skip
        return [_known(row) for row in rows]

    def runs(self, cluster: str, job_id: int) -> list[Job]:
        """Every run under a job id, in the order of submission."""
        rows = self._file.rows(
            "SELECT * FROM jobs WHERE cluster = :cluster AND job_id = :job_id"
            " ORDER BY submitted_at, restarts",
            cluster=cluster, job_id=job_id,
        )  # fmt: skip
        return [_known(row).job for row in rows]

    def earlier_runs(self, job: Job) -> list[KnownJob]:
        """The runs of the same job before this one, whoever requeued it, the oldest first."""
        if not job.key.restarts:
            return []
        rows = self._file.rows(
            "SELECT * FROM jobs WHERE cluster = :cluster AND job_id = :job_id AND uid = :uid"
            " AND restarts < :restarts AND submitted_at < :submitted_at"
            " ORDER BY submitted_at, restarts",
            uid=job.uid, **asdict(job.key),
        )  # fmt: skip
        newest = {known.job.key.restarts: known for known in map(_known, rows)}  # ids wrap
        return [newest[restarts] for restarts in sorted(newest)]

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
    ours = {name: fields.pop(name) for name in ("begin_at", "first_seen_at", "seen_at")}
    key = JobKey(**{name: fields.pop(name) for name in JobKey.__dataclass_fields__})
    fields["nodes"] = tuple(fields["nodes"].split())
    return KnownJob(
        job=Job(key=key, **fields),
        directives=Directives(**json.loads(directives)) if directives else None,
        **ours,
    )
