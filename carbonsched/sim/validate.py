"""Whether a schedule can have been run: one violation makes it void."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from carbonsched.sim.scenario import Run, Scenario, SimJob
from carbonsched.sim.segments import by_job
from carbonsched.sim.usage import nodes_in_use


def fault(runs: Sequence[Run], scenario: Scenario) -> str | None:
    """The first thing found wrong, in one line; ``None`` for a valid schedule.

    Every job runs once, not before its submission, for exactly its run time, on one cluster of the
    scenario that is wide enough and never full beyond its nodes, while the intensity is known. A
    checkpointable job may pause: its segments, on one cluster and without overlap, then add up to
    ``runtime_s + checkpoint_s * (segments - 1)``. Segments that touch count as one; an end and a
    start may share a second.
    """
    for run in runs:
        if run.end_at <= run.start_at:
            return f"job {run.job.job_id}: a segment ends at {run.end_at}, not after its start"
        if run.cluster not in scenario.clusters:
            return f"job {run.job.job_id}: there is no cluster {run.cluster.name}"
    parts = by_job(runs)
    for job in scenario.jobs:
        wrong = next(_job_faults(job, parts.pop(job.job_id, [])), None)
        if wrong:
            return f"job {job.job_id}: {wrong}"
    if parts:
        return f"job {next(iter(parts))}: not one of the scenario's"
    return _unknown_intensity(runs, scenario) or _overfull(runs, scenario)


def _job_faults(job: SimJob, segments: list[Run]) -> Iterator[str]:
    if not segments:
        yield "does not run"
        return
    first = segments[0]
    if first.job != job:
        yield "is not the job of the scenario"
    if len({run.cluster.name for run in segments}) > 1:
        yield "runs on more than one cluster"
    if job.nodes > first.cluster.nodes:
        yield f"needs {job.nodes} nodes, {first.cluster.name} has {first.cluster.nodes}"
    if first.start_at < job.submit_at:
        yield f"starts at {first.start_at}, before its submission at {job.submit_at}"
    if any(after.start_at < before.end_at for before, after in pairwise(segments)):
        yield "its segments overlap"
    if len(segments) > 1 and not job.checkpointable:
        yield f"runs in {len(segments)} segments but cannot be checkpointed"
    ran_s = sum(run.end_at - run.start_at for run in segments)
    due_s = job.runtime_s + job.checkpoint_s * (len(segments) - 1)
    if ran_s != due_s:
        yield f"runs {ran_s} s in place of {due_s} s"


def _unknown_intensity(runs: Sequence[Run], scenario: Scenario) -> str | None:
    for run in runs:
        if scenario.intensity[run.cluster.zone].mean(run.start_at, run.end_at) is None:
            return f"job {run.job.job_id}: runs past the intensity data of {run.cluster.zone}"
    return None


def _overfull(runs: Sequence[Run], scenario: Scenario) -> str | None:
    for cluster in scenario.clusters:
        here = [run for run in runs if run.cluster == cluster]
        for at, used in nodes_in_use(here):
            if used > cluster.nodes:
                return f"{cluster.name}: {used} of {cluster.nodes} nodes in use at {at}"
    return None
