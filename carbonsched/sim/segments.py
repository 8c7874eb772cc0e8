"""A job's runs as one: segments of a checkpointable job that paused, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from carbonsched.sim.scenario import Run


def by_job(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Each job's segments by start, those that touch on one cluster joined to one."""
    parts: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        parts[run.job.job_id].append(run)
    return {job_id: _joined(sorted(some, key=_place)) for job_id, some in parts.items()}


def _place(run: Run) -> tuple[int, int]:
    return run.start_at, run.end_at


def _joined(ordered: list[Run]) -> list[Run]:
    whole = ordered[:1]
    for run in ordered[1:]:
        last = whole[-1]
        if run.start_at == last.end_at and run.cluster == last.cluster:
            whole[-1] = replace(last, end_at=run.end_at)
        else:
            whole.append(run)
    return whole
