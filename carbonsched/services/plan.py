"""Planning the starts of waiting jobs, and telling Slurm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.directives import Directives
from carbonsched.model.job import Job, JobKey
from carbonsched.model.plan import Reason
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
from carbonsched.services.gate import QUOTA_NOTE
from carbonsched.services.ghosts import Ghosts, ghosts
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.moves import Applied, Moves, Wanted
from carbonsched.services.quotas import Quotas

AS_SUBMITTED_S = 300
"""How long after its start a job of the shadow mode may still be planned as one that waits."""


class PlanStarts:
    """Asks the planner about every job that is ours to move, and moves those that it moves.

    With ``shadow`` plans are kept as such, and nothing of them but quotas is carried out.
    """

    def __init__(
        self,
        clusters: Clusters,
        ledger: Ledger,
        grid: Grid,
        quotas: Quotas,
        clock: Clock,
        policy: DelayPolicy,
        parameters: PlanningParameters,
        moves: Moves,
        *,
        shadow: bool = False,
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._grid = grid
        self._quotas = quotas
        self._clock = clock
        self._policy = policy
        self._parameters = parameters
        self._moves = moves
        self._shadow = shadow

    def run(self) -> Applied:
        """Plan every cluster, and tell Slurm.

        Raises:
            ClusterUnavailableError: the clusters that did not answer, once all have been tried.
        """
        applied: list[Applied] = []

        def one(managed: ManagedCluster) -> int:
            applied.append(self.cluster(managed))
            return applied[-1].moved

        self._clusters.each(one)
        return Applied.total(applied)

    def cluster(self, managed: ManagedCluster, only: JobKey | None = None) -> Applied:
        """Plan one cluster's waiting jobs together; move them, or ``only`` one of them."""
        open_jobs = self._ledger.jobs.open(managed.name)
        now = self._clock.now()
        waiting = {known.job.key: known for known in self._to_plan(open_jobs, now)}
        unseen = ghosts(self._ledger, managed.name, now) if self._shadow else Ghosts()
        others = [one for one in open_jobs if one.job.key not in {*waiting, *unseen.keys}]
        request = PlanningRequest(
            now=now,
            parameters=self._parameters,
            clusters=(self._state(managed, others, unseen.running, now),),
            jobs=(*(self._planning_job(one, now) for one in waiting.values()), *unseen.waiting),
        )
        wanted = []
        for one in plan(request):
            if one.key in unseen.keys:
                continue
            # A quota's hold counts in either mode: it is no plan by carbon.
            kept = replace(one, shadow=self._shadow and one.reason is not Reason.QUOTA)
            known = waiting[one.key]
            self._quotas.reserve(known.job, kept.carried_out, now)
            self._ledger.plans.add_plan(kept)
            if known.job.started_at is None:
                wanted.append(Wanted(known=known, plan=kept))
        return self._moves.apply(managed, wanted, now, only)

    def _to_plan(self, jobs: list[KnownJob], now: int) -> Iterator[KnownJob]:
        """The jobs to plan: those that wait, in shadow mode also those that have just started."""
        for known in jobs:
            if _ours_to_move(known):
                yield known
            elif self._shadow and self._missed(known, now):
                yield replace(known, job=replace(known.job, state="PENDING"))

    def _missed(self, known: KnownJob, now: int) -> bool:
        """Whether a job started before it could be planned, so that its plan is made up for."""
        job = known.job
        return (
            job.active
            and known.directives is not None
            and job.started_at is not None
            and now - job.started_at <= AS_SUBMITTED_S
            and self._ledger.plans.last_of(job) is None
        )

    def _state(
        self, managed: ManagedCluster, jobs: list[KnownJob], more: tuple[Busy, ...], now: int
    ) -> ClusterState:
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
            )
            + more,
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
            quota=None if job.started_at else self._quotas.hold(job, prediction, now),
        )  # fmt: skip

    def _standing(self, job: Job) -> int | None:
        """The start of a deferral that stands in Slurm, also once it has passed.

        In shadow mode one that would stand: the job waits for nothing but room.
        So a job whose time has come, and that queues for nodes, is not weighed and put off again.
        """
        deferral = self._ledger.plans.deferral(job.key, shadow=self._shadow)
        if deferral is None or job.eligible_at is None:
            return None
        return deferral.start_at if job.eligible_at <= deferral.start_at else None


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
