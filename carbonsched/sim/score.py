"""What a schedule emitted, and how long its jobs waited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean

from carbonsched.errors import RequestError
from carbonsched.sim.scenario import Run, Scenario
from carbonsched.units import J_PER_KWH

LATE_GRACE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One policy's row. ``saving`` is the share of the immediate schedule's kilograms."""

    policy: str
    jobs: int
    kg: float
    saving: float
    mean_wait_h: float
    p95_wait_h: float
    max_wait_h: float
    late_pct: float
    max_late_h: float


def emitted_mg(runs: Sequence[Run], scenario: Scenario) -> Fraction:
    """Exact milligrams of the jobs' dynamic energy at the intensity that occurred."""
    total = Fraction(0)
    for run in runs:
        mean = scenario.intensity[run.cluster.zone].mean(run.start_at, run.end_at)
        if mean is None:
            raise RequestError(
                f"job {run.job.job_id} runs past the intensity data of {run.cluster.zone}"
            )
        watts = run.job.nodes * run.job.power_w
        total += Fraction(watts * (run.end_at - run.start_at), J_PER_KWH) * mean
    return total


def score(policy: str, runs: Sequence[Run], immediate: Sequence[Run], scenario: Scenario) -> Score:
    """Reckon one schedule beside the immediate one."""
    mg, base_mg = emitted_mg(runs, scenario), emitted_mg(immediate, scenario)
    could = {run.job.job_id: run.start_at for run in immediate}
    waits, lates = [], []
    for run in runs:
        job = run.job
        waits.append((run.start_at - job.submit_at) / 3600)
        allowed_at = max(job.submit_at + job.max_delay_s, could[job.job_id])
        lates.append(max(0, run.start_at - allowed_at - LATE_GRACE_S))
    ordered = sorted(waits)
    return Score(
        policy=policy,
        jobs=len(runs),
        kg=float(mg / 10**6),
        saving=float(1 - mg / base_mg) if base_mg else 0.0,
        mean_wait_h=fmean(waits),
        p95_wait_h=ordered[max(0, -(-95 * len(ordered) // 100) - 1)],
        max_wait_h=ordered[-1],
        late_pct=100 * sum(late > 0 for late in lates) / len(lates),
        max_late_h=max(lates) / 3600,
    )
