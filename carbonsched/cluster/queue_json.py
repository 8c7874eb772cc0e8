"""``squeue --json``, from 22.05 (plain numbers, states as words) to 26.05 (wrapped, lists)."""

from __future__ import annotations

import json
from typing import Any

from carbonsched.cluster.hostlist import expand_hosts
from carbonsched.cluster.users import user_name
from carbonsched.cluster.values import count_tasks as count_array_tasks
from carbonsched.cluster.values import limit_of_minutes_s, number, state, tres
from carbonsched.errors import ClusterError
from carbonsched.model.job import ACTIVE_STATES, PENDING_STATES, Job, JobKey


def read_queue(cluster: str, text: str) -> list[Job]:
    """Every job in the answer, those that have ended included.

    Raises:
        ClusterError: it is not what squeue documents.
    """
    try:
        answer = json.loads(text)
        rows = answer["jobs"]
        if answer.get("errors") and not rows:
            raise ClusterError(f"squeue --json: {_first_error(answer['errors'])}")
        return [_job(cluster, row) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClusterError(f"squeue --json answered something unexpected: {error!r}") from None


def _job(cluster: str, row: dict[str, Any]) -> Job:
    job_id = _required(row, "job_id")
    uid = _required(row, "user_id")
    name = state(row["job_state"])
    pending = name in PENDING_STATES
    started_at = None if pending else _positive(row, "start_time")
    ended_at = None if pending or name in ACTIVE_STATES else _positive(row, "end_time")
    if ended_at is not None and (not row.get("nodes") or (started_at or 0) > ended_at):
        started_at = None  # cancelled while it waited: Slurm writes the end as the start
    array_job_id = _positive(row, "array_job_id")
    tasks = str(row.get("array_task_string") or "")
    size = tres(str(row.get("tres_alloc_str") or "")) or tres(str(row.get("tres_req_str") or ""))
    return Job(
        key=JobKey(
            cluster=cluster,
            job_id=job_id,
            submitted_at=_required(row, "submit_time"),
            restarts=number(row.get("restart_cnt")) or 0,
        ),
        uid=uid,
        user=str(row.get("user_name") or "") or user_name(uid),
        account=str(row.get("account") or ""),
        partition=str(row.get("partition") or ""),
        name=str(row.get("name") or ""),
        state=name,
        reason=str(row.get("state_reason") or ""),
        node_count=size.get("node") or _positive(row, "node_count") or 1,
        cpus=size.get("cpu") or _positive(row, "cpus") or 1,
        nodes=expand_hosts(str(row.get("nodes") or "")),
        time_limit_s=limit_of_minutes_s(number(row.get("time_limit"))),
        eligible_at=_positive(row, "eligible_time"),
        started_at=started_at,
        ended_at=ended_at,
        deadline_at=_positive(row, "deadline"),
        comment=_text(row, "comment"),
        admin_comment=_text(row, "admin_comment"),
        array_job_id=array_job_id,
        array_task=_array_task(row, tasks) if array_job_id is not None else None,
        het_job_id=_positive(row, "het_job_id"),
        tasks=count_array_tasks(tasks) if pending and tasks else 1,
    )


def _array_task(row: dict[str, Any], tasks: str) -> str | None:
    task = number(row.get("array_task_id"))
    if task is not None:
        return str(task)
    return f"[{tasks}]" if tasks else None


def _text(row: dict[str, Any], name: str) -> str:
    """Comments are words in ``squeue``, and gathered in one object in later schemas."""
    value = row.get(name)
    if isinstance(value, dict):
        value = value.get("job" if name == "comment" else "administrator")
    return str(value or "")


def _required(row: dict[str, Any], name: str) -> int:
    value = number(row[name])
    if value is None:
        raise ValueError(f"a job without {name}")
    return value


def _positive(row: dict[str, Any], name: str) -> int | None:
    return number(row.get(name)) or None


def _first_error(errors: Any) -> str:
    first = errors[0]
    if isinstance(first, dict):
        return str(first.get("description") or first.get("error") or first)
    return str(first)
