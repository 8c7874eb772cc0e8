"""What a schedule emitted, how long its jobs waited, and how full the clusters were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean

from carbonsched.errors import RequestError
from carbonsched.sim.scenario import Run, Scenario, SimJob
from carbonsched.sim.segments import by_job
from carbonsched.units import J_PER_KWH

LATE_GRACE_S = 60
_SHORT_S = 60  # a shorter job counts as this long in the slowdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One policy's row; times in hours, shares from 0 to 1 but for ``late_pct``.

    ``saving`` is the share of the immediate schedule's kilograms, ``capture`` that of what the
    bound saves: ``None`` without a bound, or where there is nothing to save. A wait is *end - run
    time - submission*, so pauses and checkpoints count as waiting. ``calls`` is how often the
    policy asked for another start, ``None`` where nobody counted.
    """

    policy: str
    jobs: int
    kg: float
    saving: float
    capture: float | None
    mean_wait_h: float
    p95_wait_h: float
    max_wait_h: float
    slowdown: float
    late_pct: float
    max_late_h: float
    utilisation: float
    makespan_h: float
    calls: int | None


def emitted_mg(runs: Sequence[Run], scenario: Scenario) -> Fraction:
    """Exact milligrams of the jobs' dynamic energy at the intensity that occurred.

    Raises:
        RequestError: a run is outside of the intensity data.
    """
    total = Fraction(0)
    for run in runs:
        mean = scenario.intensity[run.cluster.zone].mean(run.start_at, run.end_at)
        if mean is None:
            raise RequestError(
                f"job {run.job.job_id} runs past the intensity data of {run.cluster.zone}; give"
                " more of it, or fewer jobs"
            )
        watts = run.job.nodes * run.job.power_w
        total += Fraction(watts * (run.end_at - run.start_at), J_PER_KWH) * mean
    return total


def first_starts(runs: Sequence[Run]) -> dict[str, int]:
    """When each job of a schedule first started."""
    return {job_id: parts[0].start_at for job_id, parts in by_job(runs).items()}


def latest_start(job: SimJob, immediate_at: int) -> int:
    """The last start that is on time; ``immediate_at`` is when it started under ``immediate``.

    A full cluster is no fault of the policy's, hence the start that no deferral would have bettered
    counts where it is later than submission and allowed delay. A job is late by more than
    ``LATE_GRACE_S`` after it.
    """
    return max(job.submit_at + job.max_delay_s, immediate_at)


def score(
    policy: str,
    runs: Sequence[Run],
    immediate: Sequence[Run],
    scenario: Scenario,
    *,
    bound_kg: float | None = None,
    calls: int | None = None,
) -> Score:
    """Reckon one valid schedule beside the immediate one.

    The slowdown is the mean of ``max(1, (end - submit) / max(runtime, 60 s))`` (Feitelson 2001);
    the 95th percentile of waits is that of the nearest rank.
    """
    mg, base_mg = emitted_mg(runs, scenario), emitted_mg(immediate, scenario)
    could = first_starts(immediate)
    waits, lates, slowdowns = [], [], []
    for job_id, parts in by_job(runs).items():
        job, end_at = parts[0].job, parts[-1].end_at
        waits.append((end_at - job.runtime_s - job.submit_at) / 3600)
        late_s = end_at - job.runtime_s - latest_start(job, could[job_id])
        lates.append(late_s if late_s > LATE_GRACE_S else 0)
        slowdowns.append(max(1.0, (end_at - job.submit_at) / max(job.runtime_s, _SHORT_S)))
    ordered = sorted(waits)
    span_s = max(run.end_at for run in runs) - min(job.submit_at for job in scenario.jobs)
    return Score(
        policy=policy,
        jobs=len(waits),
        kg=float(mg / 10**6),
        saving=float(1 - mg / base_mg) if base_mg else 0.0,
        capture=_capture(float(mg / 10**6), float(base_mg / 10**6), bound_kg),
        mean_wait_h=fmean(waits),
        p95_wait_h=ordered[max(0, -(-95 * len(ordered) // 100) - 1)],
        max_wait_h=ordered[-1],
        slowdown=fmean(slowdowns),
        late_pct=100 * sum(late > 0 for late in lates) / len(lates),
        max_late_h=max(lates) / 3600,
        utilisation=_node_seconds(runs) / (span_s * sum(one.nodes for one in scenario.clusters)),
        makespan_h=span_s / 3600,
        calls=calls,
    )


def _capture(kg: float, immediate_kg: float, bound_kg: float | None) -> float | None:
    if bound_kg is None or immediate_kg <= bound_kg:
        return None
    return (immediate_kg - kg) / (immediate_kg - bound_kg)


def _node_seconds(runs: Sequence[Run]) -> int:
    return sum(run.job.nodes * (run.end_at - run.start_at) for run in runs)
