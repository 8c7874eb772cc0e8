"""``sacct``: the jobs of the accounting database, requeued runs each on their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from carbonsched.cluster.delimited import read_records
from carbonsched.cluster.hostlist import expand_hosts
from carbonsched.cluster.users import user_name
from carbonsched.cluster.values import count_tasks as count_array_tasks
from carbonsched.cluster.values import instant_at, limit_of_minutes_s, state, tres, whole
from carbonsched.errors import ClusterError
from carbonsched.model.job import ACTIVE_STATES, PENDING_STATES, Job, JobKey
from carbonsched.model.wire import MAX_WHOLE

FIELDS = (
    "JobIDRaw",
    "JobID",
    "Submit",
    "Eligible",
    "Start",
    "End",
    "State",
    "Reason",
    "UID",
    "User",
    "Account",
    "Partition",
    "NNodes",
    "AllocCPUS",
    "ReqCPUS",
    "AllocTRES",
    "NodeList",
    "TimelimitRaw",
    "JobName",
    "Comment",
    "AdminComment",
)
ENERGY = "ConsumedEnergyRaw"
"""Joules of the whole nodes, where the cluster collects them (``AcctGatherEnergyType``)."""
# A run that follows one in these states is a restart of the same job.
_REQUEUED = frozenset({"REQUEUED", "PREEMPTED", "NODE_FAIL", "REVOKED", "BOOT_FAIL"})
# slurmctld lets an ended job be requeued while it still knows it (MinJobAge, five minutes); a run
# that comes later than this under the same id is another job, for ids wrap.
_SAME_JOB_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of a job's runs, as far as counting them needs."""

    job_id: int
    submitted_at: int
    ended_at: int | None
    state: str


RUN_FIELDS = ("JobIDRaw", "Submit", "End", "State")


def format_time(at: int) -> str:
    """An instant as sacct's ``-S`` and ``-E`` read it where ``TZ`` is UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def read_runs(text: str, delimiter: str, names: Sequence[str] = RUN_FIELDS) -> list[Run]:
    """Rows of fields that hold :data:`RUN_FIELDS`; what is no job row is left out."""
    runs = []
    for record in read_records(text, names, delimiter):
        job_id, submitted_at = whole(record["JobIDRaw"]), instant_at(record["Submit"])
        if job_id is not None and submitted_at is not None:
            runs.append(
                Run(
                    job_id=job_id,
                    submitted_at=submitted_at,
                    ended_at=instant_at(record["End"]),
                    state=state(record["State"]),
                )
            )
    return runs


def count_restarts(runs: Iterable[Run]) -> dict[tuple[int, int], int]:
    """For each run, by id and time of submission, how often its job had been restarted before.

    sacct of 22.05 names no restart count, but a requeue gives a new row with a later ``Submit``:
    the n-th row of a job is its n-th restart. Rows more than a day after an ended one begin anew.
    """
    counts: dict[tuple[int, int], int] = {}
    before: dict[int, Run] = {}
    for run in sorted(runs, key=lambda run: (run.job_id, run.submitted_at)):
        earlier = before.get(run.job_id)
        again = 0
        if earlier is not None:
            if earlier.submitted_at == run.submitted_at:
                continue
            if _continues(earlier, run):
                again = counts[earlier.job_id, earlier.submitted_at] + 1
        counts[run.job_id, run.submitted_at] = again
        before[run.job_id] = run
    return counts


def read_history(
    cluster: str,
    text: str,
    delimiter: str,
    restarts: dict[tuple[int, int], int],
    names: Sequence[str] = FIELDS,
) -> list[Job]:
    """Rows of :data:`FIELDS`, perhaps with :data:`ENERGY`, and the restart counts of their runs.

    :func:`count_restarts` gives those.

    Raises:
        ClusterError: it is not what was asked for.
    """
    try:
        records = read_records(text, names, delimiter)
        return [job for record in records if (job := _job(cluster, record, restarts)) is not None]
    except ValueError as error:
        raise ClusterError(f"sacct answered something unexpected: {error}") from None


def job_ids(text: str, names: Sequence[str], delimiter: str) -> list[int]:
    """The raw job ids of the rows, each once."""
    ids = (whole(record["JobIDRaw"]) for record in read_records(text, names, delimiter))
    return sorted({one for one in ids if one is not None})


def _continues(earlier: Run, later: Run) -> bool:
    if earlier.state in _REQUEUED or earlier.ended_at is None:
        return True
    return later.submitted_at - earlier.ended_at <= _SAME_JOB_S


def _job(cluster: str, record: dict[str, str], restarts: dict[tuple[int, int], int]) -> Job | None:
    job_id, submitted_at = whole(record["JobIDRaw"]), instant_at(record["Submit"])
    uid = whole(record["UID"])
    if job_id is None or submitted_at is None or uid is None:
        return None  # a row of no job, such as one damaged in the database
    name = state(record["State"])
    nodes = expand_hosts(record["NodeList"])
    pending = name in PENDING_STATES - {"REQUEUED"}
    ended = not pending and name not in ACTIVE_STATES
    started_at = None if pending or not nodes else instant_at(record["Start"])
    ended_at = instant_at(record["End"]) if ended else None
    if started_at is not None and ended_at is not None and ended_at < started_at:
        started_at = None  # an end before the start says that it never ran
    size = tres(record["AllocTRES"])
    array_job_id, array_task = _array(record["JobID"])
    return Job(
        key=JobKey(
            cluster=cluster,
            job_id=job_id,
            submitted_at=submitted_at,
            restarts=restarts.get((job_id, submitted_at), 0),
        ),
        uid=uid,
        user=record["User"] or user_name(uid),
        account=record["Account"],
        partition=record["Partition"],
        name=record["JobName"],
        state=name,
        reason=record["Reason"],
        node_count=size.get("node") or whole(record["NNodes"]) or 1,
        cpus=size.get("cpu") or whole(record["AllocCPUS"]) or whole(record["ReqCPUS"]) or 1,
        nodes=nodes,
        time_limit_s=limit_of_minutes_s(whole(record["TimelimitRaw"])),
        eligible_at=instant_at(record["Eligible"]),
        started_at=started_at,
        ended_at=ended_at,
        comment=record["Comment"],
        admin_comment=record["AdminComment"],
        array_job_id=array_job_id,
        array_task=array_task,
        het_job_id=_het_job_id(record["JobID"]),
        tasks=count_array_tasks(array_task) if pending and array_task else 1,
        slurm_energy_j=_energy_j(record.get(ENERGY, "")) if ended else None,
    )


def _energy_j(text: str) -> int | None:
    """Joules; ``None`` where none are told, for 0 is what a cluster says that collects none.

    What no job can have used is none either: Slurm writes its NO_VAL64, or a counter that wrapped.
    """
    joules = whole(text)
    return joules if joules is not None and 0 < joules <= MAX_WHOLE else None


def _array(shown: str) -> tuple[int | None, str | None]:
    job, underscore, task = shown.partition("_")
    return (int(job), task) if underscore and job.isdecimal() else (None, None)


def _het_job_id(shown: str) -> int | None:
    job, plus, _ = shown.partition("+")
    return int(job) if plus and job.isdecimal() else None
