"""Planning all waiting jobs of each cluster, and telling Slurm."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import JobKey
from carbonsched.model.plan import Reason
from carbonsched.planning import plan
from carbonsched.ports import Clock
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.moves import Applied, Moves, Wanted
from carbonsched.services.pilots import Pilots
from carbonsched.services.planning_request import PlanningRequests
from carbonsched.services.quotas import Quotas
from carbonsched.services.stops import StopRuns


class PlanStarts:
    """Asks the planner about every job that is ours to move, and moves those that it moves.

    Where the requests are of the shadow mode plans are kept as such, and nothing of them but quotas
    is carried out.
    """

    def __init__(
        self,
        clusters: Clusters,
        ledger: Ledger,
        requests: PlanningRequests,
        quotas: Quotas,
        clock: Clock,
        moves: Moves,
        stops: StopRuns,
        pilots: Pilots,
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._requests = requests
        self._quotas = quotas
        self._clock = clock
        self._moves = moves
        self._stops = stops
        self._pilots = pilots

    def run(self) -> Applied:
        """Plan every cluster, and tell Slurm.

        Raises:
            ClusterUnavailableError: the clusters that did not answer, once all have been tried.
        """
        applied: list[Applied] = []

        def one(managed: ManagedCluster) -> int:
            self._stops.carry_on(managed)
            applied.append(self.cluster(managed))
            return applied[-1].moved

        self._clusters.each(one)
        return Applied.total(applied)

    def cluster(self, managed: ManagedCluster, only: JobKey | None = None) -> Applied:
        """Plan one cluster's jobs together; move those that wait, or ``only`` one of them.

        Running jobs are stopped only where all are moved: nobody waits for that.
        """
        open_jobs = self._ledger.jobs.open(managed.name)
        now = self._clock.now()
        waiting = self._requests.waiting(open_jobs, now)
        request = self._requests.of(managed, open_jobs, now)
        planned = plan(request)
        self._requests.keep(managed, planned.prices)
        wanted = []
        for one in planned.plans:
            known = waiting.get(one.key)
            if known is None:  # of the shadow mode: it has started
                continue
            # A quota's hold counts in either mode: it is no plan by carbon.
            kept = replace(one, shadow=self._requests.shadow and one.reason is not Reason.QUOTA)
            self._quotas.reserve(known.job, kept.carried_out, now)
            self._ledger.plans.add_plan(kept)
            if known.job.started_at is None:
                wanted.append(Wanted(known=known, plan=kept))
        applied = self._moves.apply(managed, wanted, now, only)
        if only is None:
            pauses = self._pauses(managed, open_jobs, planned.pauses, now)
            self._stops.begin(managed, pauses)
            foretold = any(one.forecast is not None for one in request.clusters)
            self._pilots.decide(open_jobs, {one.plan.key for one in pauses}, now, foretold=foretold)
        return applied

    def _pauses(
        self,
        managed: ManagedCluster,
        open_jobs: Sequence[KnownJob],
        keys: Collection[JobKey],
        now: int,
    ) -> list[Wanted]:
        """Of the runs that had better stop, those whose rest would really wait, with its plan.

        A stop whose rest would then start at once would cost work and save nothing.
        """
        running = {known.job.key: known for known in open_jobs if known.job.key in keys}
        if not running:
            return []
        found = plan(self._requests.if_stopped(managed, open_jobs, running, now))
        return [
            Wanted(known=running[one.key], plan=one)
            for one in found.plans
            if one.key in running
            and self._requests.worth_stopping(managed, running[one.key], one, now)
        ]
