"""Planning the starts of waiting jobs, and telling Slurm."""

from __future__ import annotations

import logging

from carbonsched.errors import ClusterRefusedError
from carbonsched.ledger import Ledger
from carbonsched.model.job import Job
from carbonsched.model.plan import Plan, Reason
from carbonsched.planning import DelayPolicy, PlanningParameters, plan
from carbonsched.ports import Clock
from carbonsched.services.gate import quota_note
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.planning_request import PlanningRequests, ours_to_move
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
        self._quotas = quotas
        self._clock = clock
        self._requests = PlanningRequests(ledger, grid, quotas, policy, parameters)

    def run(self) -> int:
        """Plan every cluster; returns how many jobs were moved."""
        return self._clusters.each(self.cluster)

    def cluster(self, managed: ManagedCluster) -> int:
        """Plan one cluster's waiting jobs together; returns how many were moved."""
        open_jobs = self._ledger.jobs.open(managed.name)
        waiting = ours_to_move(open_jobs)
        now = self._clock.now()
        moved = 0
        for one in plan(self._requests.of(managed, open_jobs, now)):
            self._quotas.reserve(waiting[one.key].job, one, now)
            self._ledger.plans.add_plan(one)
            moved += self._apply(managed, waiting[one.key].job, one, now)
        return moved

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
