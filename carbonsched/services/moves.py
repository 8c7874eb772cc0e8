"""Telling Slurm the planned starts; in shadow mode, only that no job waits for us."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from carbonsched.errors import ClusterRefusedError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.plan import Plan, Reason
from carbonsched.services.adopt import LEASE_SLACK_S
from carbonsched.services.gate import QUOTA_NOTE, quota_note
from carbonsched.services.managed import ManagedCluster

NOTE = "carbonsched"
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A waiting job and its plan."""

    known: KnownJob
    plan: Plan


class Moves:
    """Makes begin times what the plans say."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def apply(self, managed: ManagedCluster, wanted: Sequence[Wanted], now: int) -> int:
        """Move the jobs that do not begin as planned; returns how many were moved."""
        return sum(self._move(managed, one) for one in wanted if self._due(one, now))

    def _due(self, wanted: Wanted, now: int) -> bool:
        """Whether Slurm's begin time is another than the plan's."""
        begin_at, start_at = wanted.known.job.eligible_at or 0, wanted.plan.carried_out.start_at
        as_planned = begin_at <= now if start_at <= now else begin_at == start_at
        if as_planned:
            return False
        return not wanted.plan.shadow or self._waits_for_us(wanted.known)

    def _waits_for_us(self, known: KnownJob) -> bool:
        """Whether its begin time is of ours: the lease, a quota's hold, a deferral that counted.

        Any other is its owner's or an operator's, and in shadow mode none of our business.
        """
        job = known.job
        if job.eligible_at is None:
            return False
        deferral = self._ledger.plans.deferral(job.key)
        if deferral is not None and deferral.start_at == job.eligible_at:
            return True
        lease_s = known.directives.lease_s if known.directives else None
        waited_s = job.eligible_at - job.key.submitted_at
        leased = lease_s is not None and abs(waited_s - lease_s) <= LEASE_SLACK_S
        return leased or job.admin_comment.startswith(QUOTA_NOTE)

    def _move(self, managed: ManagedCluster, wanted: Wanted) -> int:
        job, plan = wanted.known.job, wanted.plan.carried_out
        note = f"{NOTE}: {plan.text}"
        if plan.reason is Reason.QUOTA:
            note = quota_note(plan.text, plan.start_at)
        try:
            managed.cluster.set_start(job.key.job_id, plan.start_at, note)
        except ClusterRefusedError as error:
            # It has started, ended or been held meanwhile; the next look at the queue tells.
            _LOGGER.info("job %s stays: %s", job.shown_id, error)
            return 0
        _LOGGER.info("job %s of %s: %s", job.shown_id, job.user, plan.text)
        self._ledger.jobs.moved(job.key, plan.start_at, note)
        return 1
