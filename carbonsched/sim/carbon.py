"""The daemon's planner in the simulator, with a node in the place of a CPU and a PUE of 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from carbonsched.model.job import JobKey
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.model.spread import Spread
from carbonsched.planning import (
    Bounds,
    Busy,
    ClusterState,
    Expected,
    Pausable,
    Place,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    Prices,
    plan,
)
from carbonsched.prediction.arrivals import Arrivals
from carbonsched.prediction.runtimes import RunTimes
from carbonsched.sim.engine import Decision, Running, Start, Waiting
from carbonsched.sim.scenario import Run, Scenario, SimCluster, SimJob
from carbonsched.units import PPM

_EXPECTED_H = 36
_RECENT = 500
_PAUSES_AFTER_S = 1800
"""A run lasts at least so long before it is paused, or the stops cost more than they gain."""


class CarbonPolicy:
    """The planner, and what it learns from: run times and arrivals so far."""

    name = "carbon"
    replan_s: int | None = 300

    def __init__(self, scenario: Scenario, parameters: PlanningParameters) -> None:
        self._scenario = scenario
        self._parameters = parameters
        self._clusters = {one.name: one for one in scenario.clusters}
        self._numbers = {job.job_id: index for index, job in enumerate(scenario.jobs)}
        self._run_times = RunTimes()
        self._arrivals = Arrivals()
        self._node_s: dict[str, float] = {}
        self._recent: list[SimJob] = []
        self._prices: Prices | None = None

    def ended(self, run: Run) -> None:
        """Learn from it."""
        job = run.job
        self._run_times.ended(job.user, job.nodes, job.requested_s, job.runtime_s)
        known_s = self._node_s.pop(job.job_id)
        self._arrivals.corrected(job.submit_at, job.nodes * job.runtime_s - known_s)

    def decide(
        self, now: int, waiting: tuple[Waiting, ...], running: tuple[Running, ...]
    ) -> Decision:
        """What the planner says."""
        for one in waiting:
            self._meet(one.job)
        names = {self._key(one).job_id: one.job.job_id for one in waiting}
        found = plan(
            PlanningRequest(
                now=now,
                parameters=self._parameters,
                clusters=tuple(
                    self._state(cluster, now, running) for cluster in self._clusters.values()
                ),
                jobs=tuple(self._planning_job(one) for one in waiting),
                pausable=tuple(
                    self._pausable(one, now) for one in running if _may_pause(one, now)
                ),
                expected=self._expected(now),
                before=self._prices,
            )
        )
        self._prices = found.prices
        return Decision(
            starts={
                names[one.key.job_id]: Start(
                    at=one.start_at, cluster=self._clusters[one.cluster or one.key.cluster]
                )
                for one in found.plans
            },
            pauses=tuple(self._scenario.jobs[key.job_id].job_id for key in found.pauses),
        )

    def _meet(self, job: SimJob) -> None:
        if job.job_id in self._node_s:
            return
        node_s = self._node_s[job.job_id] = job.nodes * self._length(job).mean_s
        self._arrivals.submitted(job.submit_at, node_s)
        self._recent = [*self._recent[1 - _RECENT :], job]

    def _state(
        self, cluster: SimCluster, now: int, running: Sequence[Running]
    ) -> ClusterState:
        return ClusterState(
            name=cluster.name,
            cpus=cluster.nodes,
            pue_ppm=PPM,
            forecast=self._scenario.forecast(cluster.zone, now),
            busy=tuple(
                Busy(cpus=one.run.job.nodes, left=self._left(one, now))
                for one in running
                if one.run.cluster == cluster
            ),
        )

    def _planning_job(self, one: Waiting) -> PlanningJob:
        job = one.job
        length = self._length(job)
        latest_at = job.submit_at + job.max_delay_s
        if one.done_s:
            left = self._run_times.left(job.user, job.nodes, job.requested_s, one.done_s)
            length = _longer(left, job.checkpoint_s)
            latest_at += one.done_s - job.checkpoint_s
        return PlanningJob(
            key=self._key(one),
            cpus=job.nodes,
            bounds=Bounds(
                earliest_at=job.submit_at,
                latest_at=max(job.submit_at, latest_at),
                deferrable=job.max_delay_s > 0,
                why="its maximum delay",
            ),
            prediction=_prediction(job, length),
            length=length,
            elsewhere=self._elsewhere(one, length),
            user=job.user,
            planned_start_at=None if one.queued else one.planned_start_at,
            released=one.queued,
            stop_cost_s=job.checkpoint_s if job.checkpointable else None,
        )

    def _pausable(self, one: Running, now: int) -> Pausable:
        job, run = one.run.job, one.run
        ran_s = one.done_s + now - run.start_at
        return Pausable(
            key=JobKey(
                cluster=run.cluster.name,
                job_id=self._numbers[job.job_id],
                submitted_at=job.submit_at,
                restarts=0,
            ),
            cluster=run.cluster.name,
            cpus=job.nodes,
            watts=job.nodes * job.power_w,
            left=self._left(one, now),
            slack_s=job.max_delay_s - (now - job.submit_at - ran_s) - job.checkpoint_s,
            cost_s=job.checkpoint_s,
        )

    def _elsewhere(self, one: Waiting, length: Spread) -> tuple[Place, ...]:
        """Until it is in a queue a job may go to any cluster that is wide enough."""
        if one.queued or one.done_s:
            return ()
        job = one.job
        return tuple(
            Place(
                cluster=other.name,
                cpus=job.nodes,
                watts=job.nodes * job.power_w,
                length=length,
            )
            for other in self._clusters.values()
            if other != one.cluster and other.nodes >= job.nodes
        )

    def _expected(self, now: int) -> tuple[Expected, ...]:
        """Jobs to come, as many of the recent ones' mean as there is work in each hour."""
        if not self._recent or (
            self._prices is not None and now - self._prices.made_at < 1800
        ):
            return ()
        recent = self._recent
        lengths = [self._length(job) for job in recent]
        work = np.array([job.nodes * one.mean_s for job, one in zip(recent, lengths, strict=True)])
        mean = _mixed(lengths, [job.nodes for job in recent])
        power_w = float(work @ np.array([job.power_w for job in recent]) / work.sum())
        delay_s = float(work @ np.array([job.max_delay_s for job in recent]) / work.sum())
        hours = self._arrivals.expected(now, _EXPECTED_H)
        return tuple(
            Expected(
                places=tuple(
                    Place(
                        cluster=name,
                        cpus=node_s / mean.mean_s,
                        watts=power_w * node_s / mean.mean_s,
                        length=mean,
                    )
                    for name in self._clusters
                ),
                first_at=now + hour * 3600 + 1800,
                last_at=now + int(max((hour + 1) * 3600, hour * 3600 + delay_s * 15 // 16)),
            )
            for hour, node_s in enumerate(hours)
            if node_s > 0
        )

    def _key(self, one: Waiting) -> JobKey:
        return JobKey(
            cluster=one.cluster.name,
            job_id=self._numbers[one.job.job_id],
            submitted_at=one.job.submit_at,
            restarts=0,
        )

    def _length(self, job: SimJob) -> Spread:
        return self._run_times.of(job.user, job.nodes, job.requested_s)

    def _left(self, one: Running, now: int) -> Spread:
        job, run = one.run.job, one.run
        elapsed_s = one.done_s + now - run.start_at
        return self._run_times.left(job.user, job.nodes, job.requested_s, elapsed_s)


def _may_pause(one: Running, now: int) -> bool:
    return one.run.job.checkpointable and now - one.run.start_at >= _PAUSES_AFTER_S


def _prediction(job: SimJob, length: Spread) -> Prediction:
    duration_s = max(1, math.ceil(length.mean_s))
    energy_j = duration_s * job.nodes * job.power_w
    return Prediction(
        source=PredictionSource.HISTORY,
        samples=0,
        duration_s=duration_s,
        duration_low_s=duration_s,
        duration_high_s=duration_s,
        energy_j=energy_j,
        energy_low_j=energy_j,
        energy_high_j=energy_j,
        method="runs like it",
        explanation="",
    )


def _longer(length: Spread, by_s: int) -> Spread:
    return Spread(tuple(one + by_s for one in length.seconds), length.weights)


def _mixed(lengths: Sequence[Spread], weights: Sequence[float]) -> Spread:
    """A run time that is one of these."""
    pairs = sorted(
        (length_s, weight * share / sum(one.weights))
        for one, weight in zip(lengths, weights, strict=True)
        for length_s, share in zip(one.seconds, one.weights, strict=True)
    )
    return Spread(tuple(one for one, _ in pairs), tuple(weight for _, weight in pairs))
