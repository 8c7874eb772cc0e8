"""A Slurm job as the scheduler and its accounting describe it."""

from __future__ import annotations

from dataclasses import dataclass

PENDING_STATES = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
ACTIVE_STATES = frozenset(
    {"RUNNING", "SUSPENDED", "CONFIGURING", "COMPLETING", "STAGE_OUT", "STOPPED", "SIGNALING"}
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class JobKey:
    """What identifies one run of one job.

    Job ids wrap at ``MaxJobId`` and a requeue repeats them, so the id alone never identifies.
    """

    cluster: str
    job_id: int
    submitted_at: int
    restarts: int

    def __str__(self) -> str:
        again = f"+{self.restarts}" if self.restarts else ""
        return f"{self.cluster}/{self.job_id}{again}@{self.submitted_at}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job, or one task of an array, as Slurm last told.

    ``None`` means that Slurm did not say or that it does not apply: never zero. For a pending
    array ``job_id`` is the array's and ``tasks`` counts what is still pending under it.
    ``slurm_energy_j`` is what Slurm's own accounting of energy says of the job: a cross-check, for
    it counts whole nodes, and never what is charged.
    """

    key: JobKey
    uid: int
    user: str
    account: str
    partition: str
    name: str
    state: str
    reason: str = ""
    node_count: int = 1
    cpus: int = 1
    nodes: tuple[str, ...] = ()
    time_limit_s: int | None = None
    eligible_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    deadline_at: int | None = None
    comment: str = ""
    admin_comment: str = ""
    array_job_id: int | None = None
    array_task: str | None = None
    het_job_id: int | None = None
    tasks: int = 1
    slurm_energy_j: int | None = None

    def __post_init__(self) -> None:
        if self.started_at is not None and self.ended_at is not None:
            _require(self.ended_at >= self.started_at, f"job {self.key} ends before it starts")
        _require(self.tasks >= 1, f"job {self.key} has {self.tasks} tasks")

    @property
    def pending(self) -> bool:
        """Not started, or requeued and waiting again.

        The accounting calls a run that a requeue ended ``REQUEUED`` too, with its end.
        """
        return self.state in PENDING_STATES and self.ended_at is None

    @property
    def active(self) -> bool:
        """Holds resources now."""
        return self.state in ACTIVE_STATES

    @property
    def ended(self) -> bool:
        """Will not run again under this key."""
        return not (self.pending or self.active)

    @property
    def shown_id(self) -> str:
        """The id as squeue and sacct print it: ``12``, ``12_3``, ``12_[4-9]``."""
        if self.array_job_id is not None and self.array_task is not None:
            return f"{self.array_job_id}_{self.array_task}"
        return str(self.key.job_id)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
