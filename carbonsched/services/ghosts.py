"""Jobs of the shadow mode that have started, as if they had waited for their plans.

A real planner would find the hours that it has given away taken. So each such job holds its room
from its planned start on, and none before it, whatever it really does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from carbonsched.ledger import Ledger
from carbonsched.model.job import Job, JobKey
from carbonsched.model.plan import Plan
from carbonsched.model.prediction import Prediction
from carbonsched.planning import Bounds, Busy, PlanningJob
from carbonsched.services.learning import Learning
from carbonsched.services.parts import Part

LONGEST_S = 7 * 86_400
"""How long after its planned start a job may still hold its room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghosts:
    """Who would still wait, who would run, and the keys of all: of none do the real CPUs count."""

    waiting: tuple[PlanningJob, ...] = ()
    running: tuple[Busy, ...] = ()
    keys: frozenset[JobKey] = frozenset()


def expected_s(job: Job, prediction: Prediction | None) -> int | None:
    """How long a job should run: as predicted, at most its time limit; ``None`` where unknown."""
    lengths = [job.time_limit_s, None if prediction is None else prediction.duration_s]
    return min((one for one in lengths if one is not None), default=None)


def ghosts(
    ledger: Ledger, learning: Learning, cluster: str, now: int, part: Part | None = None
) -> Ghosts:
    """The ghosts of one cluster, or of a part of it."""
    there = list(_there(ledger, cluster, now, part))
    return Ghosts(
        waiting=tuple(_waiting(*one, learning) for one in there if one[1].start_at > now),
        running=tuple(_running(*one, learning, now) for one in there if one[1].start_at <= now),
        keys=frozenset(job.key for job, _, _ in there),
    )


def _there(
    ledger: Ledger, cluster: str, now: int, part: Part | None
) -> Iterator[tuple[Job, Plan, Prediction | None]]:
    """Started jobs whose planned run would not be over: it is as long as the real one."""
    for plan in ledger.plans.shadows(cluster, now - LONGEST_S, now):
        known = ledger.jobs.get(plan.key)
        job = known.job if known is not None else None
        if job is not None and part is not None:
            job = part.job(job)
        if job is not None:
            yield job, plan, ledger.plans.prediction(plan.key)


def _running(
    job: Job, plan: Plan, prediction: Prediction | None, learning: Learning, now: int
) -> Busy:
    """A job that began as it was planned: what is expected of it, for its end is not known then."""
    return Busy(cpus=job.cpus, left=learning.left(job, prediction, plan.start_at, now))


def _waiting(
    job: Job, plan: Plan, prediction: Prediction | None, learning: Learning
) -> PlanningJob:
    """A job that starts as it was planned: what a deferral that stands is to the others."""
    pinned = Bounds(
        earliest_at=plan.start_at, latest_at=plan.start_at, deferrable=False, why="its plan"
    )
    return PlanningJob(
        key=job.key,
        cpus=job.cpus,
        bounds=pinned,
        prediction=prediction,
        length=learning.length(job),
    )
