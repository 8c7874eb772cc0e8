"""Telling Slurm the planned starts, the most pressing first and no more than a bound at a time.

In shadow mode it is told only that no job waits for us.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from carbonsched.errors import ClusterRefusedError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import JobKey
from carbonsched.model.plan import Plan, Reason
from carbonsched.services.adopt import LEASE_SLACK_S
from carbonsched.services.gate import QUOTA_NOTE, quota_note
from carbonsched.services.managed import ManagedCluster

NOTE = "carbonsched"
SOON_S = 120
"""A begin time that comes within this may come before the next tick: two of them, by default."""
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A waiting job and its plan."""

    known: KnownJob
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of plans: jobs moved, calls of Slurm for that, jobs left for the next tick."""

    moved: int = 0
    calls: int = 0
    left: int = 0

    def __str__(self) -> str:
        return f"{self.moved} moved by {self.calls} calls, {self.left} left for the next tick"

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Applied:
        """The sums."""
        listed = list(parts)
        return cls(
            moved=sum(one.moved for one in listed),
            calls=sum(one.calls for one in listed),
            left=sum(one.left for one in listed),
        )


class Moves:
    """Makes begin times what the plans say, by at most ``most`` calls of Slurm each time.

    What is left is no worse off than before, and is found again when the jobs are planned again.
    """

    def __init__(self, ledger: Ledger, most: int) -> None:
        self._ledger = ledger
        self._most = most
        self._refused: frozenset[JobKey] = frozenset()

    def apply(
        self, managed: ManagedCluster, wanted: Sequence[Wanted], now: int, only: JobKey | None
    ) -> Applied:
        """Move the jobs that do not begin as planned, of all that wait; or ``only`` one of them."""
        due = [one for one in wanted if only in (None, one.plan.key) and self._due(one, now)]
        due.sort(key=lambda one: (one.plan.key in self._refused, *_urgency(one, now)))
        tried = due[: self._most]
        moved = {one.plan.key for one in tried if self._move(managed, one)}
        self._remember(managed, wanted, {one.plan.key for one in tried}, moved)
        left = len(due) - len(tried)
        if left:
            _LOGGER.info("cluster %s: %d moves left for the next tick", managed.name, left)
        return Applied(moved=len(moved), calls=len(tried), left=left)

    def _remember(
        self,
        managed: ManagedCluster,
        wanted: Sequence[Wanted],
        tried: set[JobKey],
        moved: set[JobKey],
    ) -> None:
        """What Slurm refuses comes last the next time, and keeps nobody from their turn."""
        waiting = {one.plan.key for one in wanted}
        kept = {key for key in self._refused if key.cluster != managed.name or key in waiting}
        self._refused = frozenset((kept | tried) - moved)

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

    def _move(self, managed: ManagedCluster, wanted: Wanted) -> bool:
        job, plan = wanted.known.job, wanted.plan.carried_out
        note = f"{NOTE}: {plan.text}"
        if plan.reason is Reason.QUOTA:
            note = quota_note(plan.text, plan.start_at)
        try:
            managed.cluster.set_start(job.key.job_id, plan.start_at, note)
        except ClusterRefusedError as error:
            # It has started, ended or been held meanwhile; the next look at the queue tells.
            _LOGGER.info("job %s stays: %s", job.shown_id, error)
            return False
        _LOGGER.info("job %s of %s: %s", job.shown_id, job.user, plan.text)
        self._ledger.jobs.moved(job.key, plan.start_at, note)
        return True


def _urgency(wanted: Wanted, now: int) -> tuple[int, int, JobKey]:
    """First what would start too early before its next turn, then what may start, then the rest.

    A job that may start and is left waits until its lease ends, no longer; one that is put off and
    left would start then, and its plan be lost.
    """
    begin_at, plan = wanted.known.job.eligible_at or 0, wanted.plan.carried_out
    if plan.start_at <= now:
        return 1, plan.latest_at, plan.key
    return (0 if begin_at <= now + SOON_S else 2), begin_at, plan.key
