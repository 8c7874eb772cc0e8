"""The greedy planner: each job in turn takes the cleanest window that still has room.

Why greedy, and what each rule is for: docs/explanation/planning.md.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np

from carbonsched.model.plan import Plan, Reason
from carbonsched.planning import wording
from carbonsched.planning.best import cleanest
from carbonsched.planning.capacity import Room
from carbonsched.planning.request import (
    ClusterState,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
)
from carbonsched.planning.series import Cumulative
from carbonsched.planning.weighing import Choice, Weigher
from carbonsched.units import emissions_mg, to_mg


def plan(request: PlanningRequest) -> tuple[Plan, ...]:
    """One plan for each job of the request, ordered by job key.

    The same request gives the same plans, whatever the order of its jobs.
    """
    clusters = {cluster.name: cluster for cluster in request.clusters}
    plans: list[Plan] = []
    jobs = sorted(request.jobs, key=lambda job: job.key)
    for name, waiting in groupby(jobs, key=lambda job: job.key.cluster):
        planner = _ClusterPlanner(request.now, request.parameters, clusters[name])
        plans.extend(planner.plan(tuple(waiting)))
    return tuple(sorted(plans, key=lambda one: one.key))


class _ClusterPlanner:
    """The plans of one cluster's jobs; owns the count of free CPUs while it makes them."""

    def __init__(self, now: int, parameters: PlanningParameters, cluster: ClusterState) -> None:
        self._now = now
        self._cluster = cluster
        self._slot_s = parameters.slot_s
        self._ahead = None if cluster.forecast is None else Cumulative(cluster.forecast, now)
        ranked = None if cluster.ranking is None else Cumulative(cluster.ranking, now)
        known = [one.end_at for one in (self._ahead, ranked) if one is not None]
        self._horizon_at = max([*known, now + parameters.slot_s])
        self._room = Room(cluster, now, self._horizon_at, parameters.slot_s)
        compared = ranked or self._ahead
        self._weigher = (
            None
            if compared is None
            else Weigher(now, parameters, cluster.pue_ppm, compared, self._room)
        )

    def plan(self, jobs: tuple[PlanningJob, ...]) -> list[Plan]:
        """Jobs that cannot wait first, for they use room whatever is decided; then least slack."""
        ordered = sorted(jobs, key=self._urgency)
        fixed = {job.key: self._fixed(job) for job in ordered}
        plans = []
        for job in ordered:
            choice = fixed[job.key]
            if choice is not None:
                self._count(job, choice)
                plans.append(self._plan(job, choice))
        for job in ordered:
            if fixed[job.key] is None:
                choice = self._weighed(job)
                self._count(job, choice)
                plans.append(self._plan(job, choice))
        return plans

    def _urgency(self, job: PlanningJob) -> tuple[int, int, object]:
        return (job.bounds.latest_at - job.floor_at(self._now), job.key.submitted_at, job.key)

    def _fixed(self, job: PlanningJob) -> Choice | None:
        """The choice where nothing has to be weighed, else ``None``."""
        floor_at = job.floor_at(self._now)
        if job.quota is not None and job.quota.until_at > floor_at:
            return Choice(job.quota.until_at, Reason.QUOTA, job.quota.text)
        if job.planned_start_at is not None and job.planned_start_at <= self._now:
            return Choice(floor_at, Reason.CLEANER, "the time it was deferred to has come")
        if not job.bounds.deferrable or job.bounds.latest_at <= floor_at:
            later = " leaves no more time to wait" if job.bounds.deferrable else ""
            reason = Reason.USER_BEGIN if floor_at > self._now else Reason.NOT_DEFERRABLE
            return Choice(floor_at, reason, f"{job.bounds.why}{later}")
        if self._weigher is None:
            return Choice(floor_at, Reason.NO_FORECAST, "there is no forecast for its grid zone")
        if job.prediction is None:
            return Choice(floor_at, Reason.NOT_DEFERRABLE, "nothing tells how long it will run")
        return None

    def _weighed(self, job: PlanningJob) -> Choice:
        if self._weigher is None or job.prediction is None:
            raise AssertionError("a job without forecast or prediction has a fixed start")
        choice = self._weigher.weigh(job, job.prediction)
        ranking = self._cluster.ranking
        if ranking is None:
            return choice
        # Its integrals are of another signal: grams are those of the forecast.
        by = f"compared by {ranking.info.provider}'s {ranking.info.kind} intensity"
        why = f"{choice.why}, {by}" if choice.why else by
        return replace(choice, why=why, integral=None, baseline=None)

    def _count(self, job: PlanningJob, choice: Choice) -> None:
        """Take the job's room: a deferred one's where it was found, else where the queue has it.

        A job whose length nobody knows is counted to the end of the time looked at.
        """
        rest_s = self._horizon_at - self._now
        duration_s = rest_s if job.prediction is None else job.prediction.duration_s
        if choice.start_at >= self._horizon_at:
            return
        if choice.start_at > job.floor_at(self._now):
            self._room.take(choice.start_at, duration_s, job.cpus)
        else:
            self._room.take_first_fit(choice.start_at, duration_s, job.cpus)

    def _plan(self, job: PlanningJob, choice: Choice) -> Plan:
        floor_at = job.floor_at(self._now)
        expected_mg = self._mass(job, choice.start_at, choice.integral)
        baseline_mg = self._mass(job, floor_at, choice.baseline)
        forecast = self._cluster.forecast
        return Plan(
            key=job.key,
            made_at=self._now,
            start_at=choice.start_at,
            baseline_at=floor_at,
            latest_at=max(choice.start_at, job.bounds.latest_at),
            reason=choice.reason,
            text=wording.sentence(
                wait_s=choice.start_at - self._now,
                floor_s=floor_at - self._now,
                why=choice.why,
                expected_mg=expected_mg,
                baseline_mg=baseline_mg,
            ),
            expected_mg=expected_mg,
            baseline_mg=baseline_mg,
            best_mg=self._best_mg(job, choice, expected_mg),
            forecast_issued_at=None if forecast is None else forecast.issued_at,
            provider=None if forecast is None else forecast.info.provider,
        )

    def _best_mg(self, job: PlanningJob, choice: Choice, expected_mg: int | None) -> int | None:
        """What the cleanest start would weigh: never more than the chosen one within the bounds."""
        if job.prediction is None or self._ahead is None:
            return None
        duration_s, slot_s = job.prediction.duration_s, self._slot_s
        integral = cleanest(self._ahead, job, duration_s, self._now, slot_s)
        if integral is None:
            return None
        best_mg = self._mass(job, job.floor_at(self._now), integral)
        known = [one for one in (best_mg, expected_mg) if one is not None]
        return min(known) if choice.start_at <= job.bounds.latest_at else best_mg

    def _mass(self, job: PlanningJob, start_at: int, integral: int | None) -> int | None:
        """Milligrams of the job if it starts then; ``None`` where the forecast does not reach."""
        if job.prediction is None or self._ahead is None:
            return None
        duration_s = job.prediction.duration_s
        if integral is None:
            if not self._ahead.covers(start_at, start_at + duration_s):
                return None
            integral = int(self._ahead.windows(np.array([start_at]), duration_s)[0])
        return to_mg(
            emissions_mg(job.prediction.energy_j, self._cluster.pue_ppm, integral) / duration_s
        )
