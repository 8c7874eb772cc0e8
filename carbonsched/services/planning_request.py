"""What the planner is asked: a cluster's room and forecast, and the jobs that wait there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.directives import Directives
from carbonsched.model.job import Job, JobKey
from carbonsched.model.plan import Plan, Reason
from carbonsched.model.prediction import Prediction
from carbonsched.model.spread import Spread
from carbonsched.planning import (
    Busy,
    ClusterState,
    DelayPolicy,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    Prices,
    QuotaHold,
    bounds,
)
from carbonsched.services.arrivals import ExpectedWork
from carbonsched.services.gate import QUOTA_NOTE
from carbonsched.services.ghosts import Ghosts, ghosts
from carbonsched.services.grid import Grid
from carbonsched.services.learning import Learning
from carbonsched.services.managed import ManagedCluster
from carbonsched.services.parts import Part
from carbonsched.services.pieces import Pieces
from carbonsched.services.quotas import Quotas
from carbonsched.services.reserved import Reservations, ReservedRoom

AS_SUBMITTED_S = 300
"""How long after its start a job of the shadow mode may still be planned as one that waits."""


class PlanningRequests:
    """Makes the planner's requests from what ledger, grid and Slurm know.

    What was learnt from the past, and the last prices, are kept in memory from one to the next.
    In ``shadow`` mode they are of jobs that wait for their plans, though really they have started.
    """

    def __init__(
        self,
        ledger: Ledger,
        grid: Grid,
        quotas: Quotas,
        learning: Learning,
        policy: DelayPolicy,
        parameters: PlanningParameters,
        pieces: Pieces,
        *,
        shadow: bool = False,
    ) -> None:
        self._ledger = ledger
        self._grid = grid
        self._quotas = quotas
        self._learning = learning
        self._policy = policy
        self._parameters = parameters
        self._pieces = pieces
        self._expected = ExpectedWork(ledger, learning, policy)
        self._reservations = Reservations()
        self._prices: dict[str, Prices] = {}
        self.shadow = shadow

    def of(
        self,
        managed: ManagedCluster,
        open_jobs: Sequence[KnownJob],
        now: int,
        also: Iterable[PlanningJob] = (),
        part: Part | None = None,
    ) -> PlanningRequest:
        """All of one cluster's :meth:`waiting` jobs, and others that are not in Slurm (any more).

        A ``part`` of the cluster is described as if it were all, without prices of its own and
        without jobs to come: what was learnt of those is the whole cluster's.

        Raises:
            ClusterError: Slurm does not tell its nodes.
        """
        self._learning.catch_up(now)
        self._learning.go_on(managed.name, (one.job for one in open_jobs), now)
        if part is not None:
            open_jobs = part.jobs(open_jobs)
        waiting = self.waiting(open_jobs, now)
        unseen = Ghosts()
        if self.shadow:
            unseen = ghosts(self._ledger, self._learning, managed.name, now, part)
        others = [one.job for one in open_jobs if one.job.key not in {*waiting, *unseen.keys}]
        before = self._prices.get(managed.name) if part is None else None
        holds = before is not None and before.hold(now, self._parameters)
        return PlanningRequest(
            now=now,
            parameters=self._parameters,
            clusters=(self._state(managed, others, unseen.running, now, part),),
            jobs=(
                *(self._waiting(known, now) for known in waiting.values()),
                *unseen.waiting,
                *also,
            ),
            pausable=() if self.shadow or part else self._pieces.pausable(open_jobs, now),
            expected=() if holds or part is not None else self._expected.of(managed.name, now),
            before=before,
        )

    def if_stopped(
        self,
        managed: ManagedCluster,
        open_jobs: Iterable[KnownJob],
        stopped: Mapping[JobKey, KnownJob],
        now: int,
    ) -> PlanningRequest:
        """The same, had these running jobs been stopped: what is left of them waits.

        Raises:
            ClusterError: Slurm does not tell its nodes.
        """
        others = [one for one in open_jobs if one.job.key not in stopped]
        rest = (self._pieces.stopped(one, now) for one in stopped.values())
        return self.of(managed, others, now, tuple(one for one in rest if one is not None))

    def worth_stopping(
        self, managed: ManagedCluster, known: KnownJob, stopped: Plan, now: int
    ) -> bool:
        """Whether the rest would really wait, and that saves enough: else the stop only costs.

        Where masses do not tell, or are not what windows are compared by, the plan's word counts.
        """
        if not stopped.deferred or stopped.reason is not Reason.CLEANER:
            return False
        worth = self._pieces.worth(known, stopped, now)
        if worth is None or self._grid.ranking(managed.zone, now) is not None:
            return True
        return worth.saved_mg >= max(1, self._parameters.needed_mg(worth.going_on_mg))

    def keep(self, managed: ManagedCluster, prices: Prices | None) -> None:
        """What a plan of this cluster found, for the next request to begin with."""
        if prices is not None:
            self._prices[managed.name] = prices

    def waiting(self, open_jobs: Iterable[KnownJob], now: int) -> dict[JobKey, KnownJob]:
        """The jobs to plan: those that wait, in shadow mode also those that have just started."""
        found = {}
        for known in open_jobs:
            if _ours_to_move(known):
                found[known.job.key] = known
            elif self.shadow and self._missed(known, now):
                pending = replace(known.job, state="PENDING")
                found[known.job.key] = replace(known, job=pending)
        return found

    def job(self, known: KnownJob, prediction: Prediction | None, now: int) -> PlanningJob:
        """One job as the planner sees it, with nothing planned for it before and no quota."""
        job = known.job
        self._learning.catch_up(now)
        return PlanningJob(
            key=job.key,
            cpus=job.cpus * job.tasks,
            bounds=bounds(
                self._pieces.as_bounded(job),
                self._pieces.asked(known) or Directives(start_now=True),
                self._policy, now, known.begin_at,
            ),
            prediction=_of_all_tasks(prediction, job.tasks),
            length=self._pieces.length(job, now),
            user=job.user,
            stop_cost_s=None if self.shadow else self._pieces.stop_cost_s(known),
        )  # fmt: skip

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

    def _waiting(self, known: KnownJob, now: int) -> PlanningJob:
        job = known.job
        prediction = self._ledger.plans.prediction(job.key)
        return replace(
            self.job(known, prediction, now),
            planned_start_at=self._standing(job),
            released=self._released(job, now),
            quota=self._quota(job, prediction, now),
        )

    def _quota(self, job: Job, prediction: Prediction | None, now: int) -> QuotaHold | None:
        """Whether a budget holds the job; not one that a budget has let in, and that we stopped."""
        if job.started_at or self._pieces.before(job.key) is not None:
            return None
        return self._quotas.hold(job, prediction, now)

    def _standing(self, job: Job) -> int | None:
        """The start of a deferral that stands in Slurm, also once it has passed.

        In shadow mode one that would stand: the job waits for nothing but room.
        So a job whose time has come, and that queues for nodes, is not weighed and put off again.
        One that was pulled in before its time stands by that later plan, also when the time comes.
        """
        deferral = self._ledger.plans.deferral(job.key, shadow=self.shadow)
        if deferral is None or job.eligible_at is None or self._pulled_in(job, deferral):
            return None
        return deferral.start_at if job.eligible_at <= deferral.start_at else None

    def _pulled_in(self, job: Job, deferral: Plan) -> bool:
        """Whether Slurm lets it start, by a later plan, before the time that it was put off to."""
        if job.eligible_at is None or job.eligible_at >= deferral.start_at:
            return False
        last = self._ledger.plans.plan(job.key)
        return last is not None and not last.deferred and last.start_at < deferral.start_at

    def _released(self, job: Job, now: int) -> bool:
        """Whether an earlier plan let it into the queue, where it waits for nothing but room."""
        last = self._ledger.plans.plan(job.key)
        if last is None or last.reason is Reason.QUOTA or last.start_at > now:
            return False
        return job.eligible_at is not None and job.eligible_at <= now

    def _state(
        self,
        managed: ManagedCluster,
        jobs: Iterable[Job],
        more: tuple[Busy, ...],
        now: int,
        part: Part | None,
    ) -> ClusterState:
        nodes = managed.cluster.nodes() if part is None else part.nodes
        reserved = self._reservations.of(managed.cluster, now)
        room = ReservedRoom(reserved if part is None else part.reservations(reserved), nodes, now)
        running = (
            Busy(cpus=room.outside(job), left=self._left(job, now)) for job in jobs if job.active
        )
        return ClusterState(
            name=managed.name,
            cpus=room.cpus,
            pue_ppm=managed.pue_ppm,
            forecast=self._grid.forecast(managed.zone, now),
            ranking=self._grid.ranking(managed.zone, now),
            busy=(*running, *more),
            reserved=room.until(now + self._parameters.horizon_s),
        )

    def _left(self, job: Job, now: int) -> Spread | None:
        return self._pieces.left(job, self._ledger.plans.prediction(job.key), now)


def _ours_to_move(known: KnownJob) -> bool:
    """Pending jobs with our mark, and those that the quota gate of the submit plug-in put off."""
    job = known.job
    gated = job.admin_comment.startswith(QUOTA_NOTE)
    return job.pending and (known.directives is not None or gated)


def _of_all_tasks(prediction: Prediction | None, tasks: int) -> Prediction | None:
    """A pending array weighs as much as all its tasks."""
    if prediction is None or tasks == 1:
        return prediction
    return prediction.each(energy=lambda one: one * tasks)
