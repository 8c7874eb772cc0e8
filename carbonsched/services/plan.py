"""Planning the starts of waiting jobs, and telling Slurm."""

from __future__ import annotations

import logging
from dataclasses import replace

from carbonsched.errors import ClusterRefusedError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.directives import Directives
from carbonsched.model.job import Job
from carbonsched.model.plan import Plan, Reason
from carbonsched.model.prediction import Prediction
from carbonsched.planning import (
    Busy,
    ClusterState,
    DelayPolicy,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    bounds,
    plan,
)
from carbonsched.ports import Clock
from carbonsched.services.gate import QUOTA_NOTE, quota_note
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.quotas import Quotas

NOTE = "carbonsched"
_LOGGER = logging.getLogger(__name__)


class PlanStarts:
    """Asks the planner about every job that is ours to move, and moves those that it moves."""

    def __init__(
        self,
        clusters: Clusters,
        ledger: Ledger,
        grid: Grid,
        quotas: Quotas,
        clock: Clock,
        policy: DelayPolicy,
        parameters: PlanningParameters,
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._grid = grid
        self._quotas = quotas
        self._clock = clock
        self._policy = policy
        self._parameters = parameters

    def run(self) -> int:
        """Plan every cluster; returns how many jobs were moved."""
        return self._clusters.each(self.cluster)

    def cluster(self, managed: ManagedCluster) -> int:
        """Plan one cluster's waiting jobs together; returns how many were moved."""
        open_jobs = self._ledger.jobs.open(managed.name)
        waiting = {known.job.key: known for known in open_jobs if _ours_to_move(known)}
        now = self._clock.now()
        request = PlanningRequest(
            now=now,
            parameters=self._parameters,
            clusters=(self._state(managed, open_jobs, now),),
            jobs=tuple(self._planning_job(known, now) for known in waiting.values()),
        )
        moved = 0
        for one in plan(request):
            self._quotas.reserve(waiting[one.key].job, one, now)
            self._ledger.plans.add_plan(one)
            moved += self._apply(managed, waiting[one.key].job, one, now)
        return moved

    def _state(self, managed: ManagedCluster, jobs: list[KnownJob], now: int) -> ClusterState:
        nodes = managed.cluster.nodes()
        return ClusterState(
            name=managed.name,
            cpus=sum(node.cpus for node in nodes if node.available),
            pue_ppm=managed.pue_ppm,
            forecast=self._grid.forecast(managed.zone, now),
            ranking=self._grid.ranking(managed.zone, now),
            busy=tuple(
                Busy(cpus=known.job.cpus, until_at=self._expected_end(known.job))
                for known in jobs
                if known.job.active
            ),
        )

    def _expected_end(self, job: Job) -> int | None:
        """By prediction, never past the time limit; ``None`` where neither is known."""
        if job.started_at is None:
            return None
        prediction = self._ledger.plans.prediction(job.key)
        known = [length for length in (job.time_limit_s,) if length is not None]
        if prediction is not None:
            known.append(prediction.duration_s)
        return job.started_at + min(known) if known else None

    def _planning_job(self, known: KnownJob, now: int) -> PlanningJob:
        job = known.job
        prediction = self._ledger.plans.prediction(job.key)
        return PlanningJob(
            key=job.key,
            cpus=job.cpus * job.tasks,
            bounds=bounds(
                job, known.directives or Directives(start_now=True), self._policy, now,
                known.begin_at,
            ),
            prediction=_of_all_tasks(prediction, job.tasks),
            planned_start_at=self._standing(job),
            quota=self._quotas.hold(job, prediction, now),
        )  # fmt: skip

    def _standing(self, job: Job) -> int | None:
        """The start of a deferral that stands in Slurm, also once it has passed.

        So a job whose time has come, and that queues for nodes, is not weighed and put off again.
        """
        deferral = self._ledger.plans.deferral(job.key)
        if deferral is None or job.eligible_at is None:
            return None
        return deferral.start_at if job.eligible_at <= deferral.start_at else None

    def _apply(self, managed: ManagedCluster, job: Job, one: Plan, now: int) -> int:
        """Make Slurm's begin time what the plan says; says nothing where it is so already."""
        begin_at = job.eligible_at or 0
        starts_now = one.start_at <= now
        if (starts_now and begin_at <= now) or (not starts_now and begin_at == one.start_at):
            return 0
        held = one.reason is Reason.QUOTA
        note = quota_note(one.text, one.start_at) if held else f"{NOTE}: {one.text}"
        try:
            managed.cluster.set_start(job.key.job_id, one.start_at, note)
        except ClusterRefusedError as error:
            # It has started, ended or been held meanwhile; the next look at the queue tells.
            _LOGGER.info("job %s stays: %s", job.shown_id, error)
            return 0
        _LOGGER.info("job %s of %s: %s", job.shown_id, job.user, one.text)
        self._ledger.jobs.moved(job.key, one.start_at, note)
        return 1


def _ours_to_move(known: KnownJob) -> bool:
    """Pending jobs with our mark, and those that the quota gate of the submit plug-in put off."""
    job = known.job
    gated = job.admin_comment.startswith(QUOTA_NOTE)
    return job.pending and (known.directives is not None or gated)


def _of_all_tasks(prediction: Prediction | None, tasks: int) -> Prediction | None:
    """A pending array weighs as much as all its tasks."""
    if prediction is None or tasks == 1:
        return prediction
    return replace(
        prediction,
        energy_j=prediction.energy_j * tasks,
        energy_low_j=prediction.energy_low_j * tasks,
        energy_high_j=prediction.energy_high_j * tasks,
    )
