"""The daemon's planner in the simulator, with a node in the place of a CPU and a PUE of 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
from carbonsched.sim.engine import Decision, Running, Start, Waiting
from carbonsched.sim.learnt import Knowledge, learnt
from carbonsched.sim.scenario import Run, Scenario, SimCluster, SimJob
from carbonsched.units import PPM

_PAUSES_AFTER_S = 1800
"""A run lasts at least so long before it is paused, or the stops cost more than they gain."""


class CarbonPolicy:
    """The planner, and what it knows: what is learnt on the way, unless it is given more."""

    replan_s: int | None = 300

    def __init__(
        self,
        scenario: Scenario,
        parameters: PlanningParameters,
        knowledge: Knowledge | None = None,
        name: str = "carbon",
    ) -> None:
        self.name = name
        self._known = knowledge or learnt(scenario)
        self._scenario = scenario
        self._parameters = parameters
        self._clusters = {one.name: one for one in scenario.clusters}
        self._numbers = {job.job_id: index for index, job in enumerate(scenario.jobs)}
        self._prices: Prices | None = None

    def ended(self, run: Run) -> None:
        """Learn from it."""
        self._known.lengths.ended(run)
        self._known.arrivals.ended(run)

    def decide(
        self, now: int, waiting: tuple[Waiting, ...], running: tuple[Running, ...]
    ) -> Decision:
        """What the planner says."""
        self._known.lengths.go_on(running, now)
        for one in waiting:
            self._known.arrivals.submitted(one.job)
        found = plan(
            PlanningRequest(
                now=now,
                parameters=self._parameters,
                clusters=tuple(
                    self._state(cluster, now, running) for cluster in self._clusters.values()
                ),
                jobs=tuple(self._planning_job(one) for one in waiting),
                pausable=tuple(self._pausable(one, now) for one in running if _may_pause(one, now)),
                expected=self._expected(now),
                before=self._prices,
            )
        )
        self._prices = found.prices
        return Decision(
            starts={
                self._name(one.key): Start(
                    at=one.start_at, cluster=self._clusters[one.cluster or one.key.cluster]
                )
                for one in found.plans
            },
            pauses=tuple(self._name(key) for key in found.pauses),
        )

    def _state(self, cluster: SimCluster, now: int, running: Sequence[Running]) -> ClusterState:
        return ClusterState(
            name=cluster.name,
            cpus=cluster.nodes,
            pue_ppm=PPM,
            forecast=self._known.grid.forecast(cluster.zone, now),
            busy=tuple(
                Busy(cpus=one.run.job.nodes, left=self._known.lengths.left(one, now))
                for one in running
                if one.run.cluster == cluster
            ),
        )

    def _planning_job(self, one: Waiting) -> PlanningJob:
        job = one.job
        length = self._known.lengths.of(job, one.done_s)
        latest_at = job.submit_at + job.max_delay_s
        if one.done_s:
            length = length.longer(job.checkpoint_s)
            latest_at += one.done_s - job.checkpoint_s
        return PlanningJob(
            key=self._key(job, one.cluster),
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
            key=self._key(job, run.cluster),
            cluster=run.cluster.name,
            cpus=job.nodes,
            watts=job.nodes * job.power_w,
            left=self._known.lengths.left(one, now),
            slack_s=job.max_delay_s - (now - job.submit_at - ran_s) - job.checkpoint_s,
            cost_s=job.checkpoint_s,
        )

    def _elsewhere(self, one: Waiting, length: Spread) -> tuple[Place, ...]:
        """Until it has begun a job may go to any cluster that is wide enough."""
        if one.done_s:
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
        """Jobs to come; nobody asks while the prices hold."""
        if self._prices is not None and self._prices.hold(now, self._parameters):
            return ()
        return self._known.arrivals.expected(now)

    def _key(self, job: SimJob, cluster: SimCluster) -> JobKey:
        return JobKey(
            cluster=cluster.name,
            job_id=self._numbers[job.job_id],
            submitted_at=job.submit_at,
            restarts=0,
        )

    def _name(self, key: JobKey) -> str:
        return self._scenario.jobs[key.job_id].job_id


def _may_pause(one: Running, now: int) -> bool:
    return one.run.job.checkpointable and now - one.run.start_at >= _PAUSES_AFTER_S


def _prediction(job: SimJob, length: Spread) -> Prediction:
    duration_s = max(1, math.ceil(length.mean_s))
    energy_j = duration_s * job.nodes * job.power_w
    return Prediction.certain(PredictionSource.HISTORY, duration_s, energy_j, "runs like it")
