"""What the planner is asked: a cluster's room and forecast, and the jobs that wait there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.directives import Directives
from carbonsched.model.job import Job, JobKey
from carbonsched.model.prediction import Prediction
from carbonsched.planning import (
    Busy,
    ClusterState,
    DelayPolicy,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    bounds,
)
from carbonsched.services.gate import QUOTA_NOTE
from carbonsched.services.grid import Grid
from carbonsched.services.managed import ManagedCluster
from carbonsched.services.quotas import Quotas


class PlanningRequests:
    """Makes the planner's requests from what ledger, grid and Slurm know."""

    def __init__(
        self,
        ledger: Ledger,
        grid: Grid,
        quotas: Quotas,
        policy: DelayPolicy,
        parameters: PlanningParameters,
    ) -> None:
        self._ledger = ledger
        self._grid = grid
        self._quotas = quotas
        self._policy = policy
        self._parameters = parameters

    def of(
        self,
        managed: ManagedCluster,
        open_jobs: Sequence[KnownJob],
        now: int,
        also: Iterable[PlanningJob] = (),
    ) -> PlanningRequest:
        """All of one cluster's jobs that may be moved, and others that are not in Slurm (yet).

        Raises:
            ClusterError: Slurm does not tell its nodes.
        """
        waiting = [self._waiting(known, now) for known in ours_to_move(open_jobs).values()]
        return PlanningRequest(
            now=now,
            parameters=self._parameters,
            clusters=(self._state(managed, open_jobs, now),),
            jobs=(*waiting, *also),
        )

    def job(self, known: KnownJob, prediction: Prediction | None, now: int) -> PlanningJob:
        """One job as the planner sees it, with nothing planned for it before and no quota."""
        job = known.job
        return PlanningJob(
            key=job.key,
            cpus=job.cpus * job.tasks,
            bounds=bounds(
                job, known.directives or Directives(start_now=True), self._policy, now,
                known.begin_at,
            ),
            prediction=_of_all_tasks(prediction, job.tasks),
        )  # fmt: skip

    def _waiting(self, known: KnownJob, now: int) -> PlanningJob:
        prediction = self._ledger.plans.prediction(known.job.key)
        return replace(
            self.job(known, prediction, now),
            planned_start_at=self._standing(known.job),
            quota=self._quotas.hold(known.job, prediction, now),
        )

    def _standing(self, job: Job) -> int | None:
        """The start of a deferral that stands in Slurm, also once it has passed.

        So a job whose time has come, and that queues for nodes, is not weighed and put off again.
        """
        deferral = self._ledger.plans.deferral(job.key)
        if deferral is None or job.eligible_at is None:
            return None
        return deferral.start_at if job.eligible_at <= deferral.start_at else None

    def _state(self, managed: ManagedCluster, jobs: Sequence[KnownJob], now: int) -> ClusterState:
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
        length_s = expected_s(job, self._ledger.plans.prediction(job.key))
        return None if length_s is None else job.started_at + length_s


def ours_to_move(jobs: Iterable[KnownJob]) -> dict[JobKey, KnownJob]:
    """Pending jobs with our mark, and those that the quota gate of the submit plug-in put off."""
    return {known.job.key: known for known in jobs if _ours(known)}


def expected_s(job: Job, prediction: Prediction | None) -> int | None:
    """How long a job should run: as predicted, at most its time limit; ``None`` where unknown."""
    lengths = [job.time_limit_s, None if prediction is None else prediction.duration_s]
    return min((one for one in lengths if one is not None), default=None)


def _ours(known: KnownJob) -> bool:
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
