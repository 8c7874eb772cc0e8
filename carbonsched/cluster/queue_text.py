"""``squeue -O``, for controllers whose squeue writes no JSON.

22.05 gives no AdminComment this way: it is left empty, which callers must take for unknown.
"""

from __future__ import annotations

from carbonsched.cluster.delimited import read_records
from carbonsched.cluster.hostlist import expand_hosts
from carbonsched.cluster.users import user_name
from carbonsched.cluster.values import count_tasks as count_array_tasks
from carbonsched.cluster.values import instant_at, limit_s, state, tres, whole
from carbonsched.errors import ClusterError
from carbonsched.model.job import ACTIVE_STATES, PENDING_STATES, Job, JobKey

FIELDS = (
    "JobID",
    "ArrayJobID",
    "ArrayTaskID",
    "HetJobID",
    "UserID",
    "UserName",
    "Account",
    "Partition",
    "Name",
    "State",
    "Reason",
    "NumNodes",
    "NumCPUs",
    "tres-alloc",
    "NodeList",
    "TimeLimit",
    "SubmitTime",
    "EligibleTime",
    "StartTime",
    "EndTime",
    "Deadline",
    "RestartCnt",
    "Comment",
)


def queue_format(delimiter: str) -> str:
    """What ``squeue -O`` is to print: each field whole, ended by the delimiter."""
    return ",".join(f"{name}:{delimiter}" for name in FIELDS)


def read_queue(cluster: str, text: str, delimiter: str) -> list[Job]:
    """Every job in the answer.

    Raises:
        ClusterError: it is not what was asked for.
    """
    try:
        return [_job(cluster, record) for record in read_records(text, FIELDS, delimiter)]
    except ValueError as error:
        raise ClusterError(f"squeue answered something unexpected: {error}") from None


def _job(cluster: str, record: dict[str, str]) -> Job:
    job_id = whole(record["JobID"])
    uid = whole(record["UserID"])
    submitted_at = instant_at(record["SubmitTime"])
    if job_id is None or uid is None or submitted_at is None:
        raise ValueError(f"a job without id, user or time of submission: {record['JobID']!r}")
    name = state(record["State"])
    pending = name in PENDING_STATES
    nodes = expand_hosts(record["NodeList"])
    size = tres(record["tres-alloc"])
    ended = not pending and name not in ACTIVE_STATES
    task = record["ArrayTaskID"]
    is_array = task not in ("N/A", "")
    return Job(
        key=JobKey(
            cluster=cluster,
            job_id=job_id,
            submitted_at=submitted_at,
            restarts=whole(record["RestartCnt"]) or 0,
        ),
        uid=uid,
        user=record["UserName"] or user_name(uid),
        account=_text(record["Account"]),
        partition=_text(record["Partition"]),
        name=record["Name"],
        state=name,
        reason=record["Reason"],
        node_count=size.get("node") or whole(record["NumNodes"]) or 1,
        cpus=size.get("cpu") or whole(record["NumCPUs"]) or 1,
        nodes=nodes,
        time_limit_s=limit_s(record["TimeLimit"]),
        eligible_at=instant_at(record["EligibleTime"]),
        started_at=None if pending or (ended and not nodes) else instant_at(record["StartTime"]),
        ended_at=instant_at(record["EndTime"]) if ended else None,
        deadline_at=instant_at(record["Deadline"]),
        comment=_text(record["Comment"]),
        array_job_id=whole(record["ArrayJobID"]) if is_array else None,
        array_task=(task if task.isdecimal() else f"[{task}]") if is_array else None,
        het_job_id=whole(record["HetJobID"]) or None,
        tasks=count_array_tasks(task) if pending and is_array else 1,
    )


def _text(value: str) -> str:
    return "" if value in ("(null)", "N/A") else value
