"""What the plans of the shadow mode would have saved, by the intensities that really occurred.

Each reading of a job is moved by as much as its plan would have put the start off, and priced as
settling prices. So a job's energy, power over time and run time stay as they were measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from carbonsched.accounting import job_charge
from carbonsched.ledger import Ledger
from carbonsched.ledger.entries import Settlement
from carbonsched.ledger.readings import JobReading
from carbonsched.model.job import Job
from carbonsched.model.plan import Plan
from carbonsched.ports import Clock
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.settle import SettleJobs
from carbonsched.units import to_mg

UNSETTLED = "not settled yet"
UNKNOWN = "their energy or the intensity they met is not known"
TO_COME = "the hours they would have run in are still to come"
UNPRICED = "the intensity of the hours they would have run in is not known"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One job that ended: by how much its plan would have put it off, and what both ways weigh.

    Where that cannot be reckoned ``why`` says why, and both masses are ``None``.
    """

    user: str
    delay_s: int
    mg: int | None = None
    would_mg: int | None = None
    why: str = ""


class ShadowReports:
    """Adds up what shadow plans would have saved, from the ledger alone."""

    def __init__(
        self, clusters: Clusters, ledger: Ledger, settle: SettleJobs, clock: Clock
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._settle = settle
        self._clock = clock

    def of(self, cluster: str | None, start_at: int, end_at: int) -> Row:
        """The jobs that ended in ``[start_at, end_at)`` on one cluster, or on all.

        Raises:
            RequestError: no such cluster.
        """
        asked = list(self._clusters) if cluster is None else [self._clusters.get(cluster)]
        ran, cases = 0, []
        for managed in asked:
            for job in self._ended(managed.name, start_at, end_at):
                ran += 1
                plan = self._ledger.plans.last_of(job)
                if plan is not None and plan.shadow:
                    cases.append(self._case(managed, job, plan))
        return {
            "now": self._clock.now(),
            "start_at": start_at,
            "end_at": end_at,
            "clusters": [managed.name for managed in asked],
            "ended_jobs": ran,
            "total": _sums(cases),
            "not_reckoned": _reasons(cases),
            "users": _by_user(cases),
        }

    def _ended(self, cluster: str, start_at: int, end_at: int) -> Iterator[Job]:
        for known in self._ledger.jobs.select(since_at=start_at, until_at=end_at):
            job = known.job
            ran = job.started_at is not None and job.ended_at is not None
            if ran and job.key.cluster == cluster and (job.ended_at or 0) < end_at:
                yield job

    def _case(self, managed: ManagedCluster, job: Job, plan: Plan) -> Case:
        delay_s = _delay_s(job, plan)
        case = Case(user=job.user, delay_s=delay_s)
        settled = self._ledger.entries.settlement(job.key)
        if settled is None or not settled.complete:
            return replace(case, why=UNSETTLED)
        if settled.mg is None:
            return replace(case, why=UNKNOWN)
        if delay_s == 0:
            return replace(case, mg=settled.mg, would_mg=settled.mg)
        return self._moved(managed, job, case, settled)

    def _moved(self, managed: ManagedCluster, job: Job, case: Case, settled: Settlement) -> Case:
        if (job.ended_at or 0) + case.delay_s > self._clock.now():
            return replace(case, why=TO_COME)
        readings = [_later(job, one, case.delay_s) for one in self._settle.readings(job)]
        priced = self._settle.priced(managed, readings)
        if priced.unpriced or not priced.segments:
            return replace(case, why=UNPRICED)
        return replace(case, mg=settled.mg, would_mg=to_mg(job_charge(priced.segments)))


def _later(job: Job, reading: JobReading, delay_s: int) -> JobReading:
    """The reading moved, as far as it lies within the job's run.

    Segments begin by the clock, up to some minutes before the job. Moved as a whole, one would
    reach before the planned start, into the dirtier hour that the plan avoids.
    """
    started_at, ended_at = job.started_at or 0, job.ended_at or 0
    start_at = max(started_at, min(reading.start_at, ended_at - 1))
    end_at = max(start_at + 1, min(reading.end_at, ended_at))
    return replace(reading, start_at=start_at + delay_s, end_at=end_at + delay_s)


def _delay_s(job: Job, plan: Plan) -> int:
    """How much later than it did the job would have been let start; 0 where its plan says now."""
    if not plan.deferred or job.started_at is None:
        return 0
    return max(0, plan.start_at - job.started_at)


def _sums(cases: Sequence[Case]) -> Row:
    """One row of sums; masses are of reckoned jobs, ``None`` where none is."""
    deferred = [case for case in cases if case.delay_s]
    reckoned = [case for case in cases if not case.why]
    moved = [case for case in reckoned if case.delay_s]
    delays_s = sorted(case.delay_s for case in deferred)
    return {
        "jobs": len(cases),
        "reckoned_jobs": len(reckoned),
        "deferred_jobs": len(deferred),
        "deferred_reckoned_jobs": len(moved),
        "delay_mean_s": round(sum(delays_s) / len(delays_s)) if delays_s else None,
        "delay_p95_s": delays_s[-(-95 * len(delays_s) // 100) - 1] if delays_s else None,
        "mg": _total(case.mg for case in reckoned),
        "would_mg": _total(case.would_mg for case in reckoned),
        "deferred_mg": _total(case.mg for case in moved),
        "deferred_would_mg": _total(case.would_mg for case in moved),
    }


def _total(masses_mg: Iterator[int | None]) -> int | None:
    known = [mg for mg in masses_mg if mg is not None]
    return sum(known) if known else None


def _reasons(cases: Sequence[Case]) -> list[Row]:
    """Why jobs could not be reckoned, most frequent first."""
    by_why: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if case.why:
            by_why[case.why].append(case)
    rows = [
        {"why": why, "jobs": len(some), "deferred_jobs": sum(case.delay_s > 0 for case in some)}
        for why, some in by_why.items()
    ]
    return sorted(rows, key=lambda row: (-row["jobs"], row["why"]))


def _by_user(cases: Sequence[Case]) -> list[Row]:
    """A row for each user, those who would have saved most first."""
    by_user: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_user[case.user].append(case)
    rows = [{"user": user, **_sums(some)} for user, some in by_user.items()]
    return sorted(rows, key=lambda row: (-_saved_mg(row), row["user"]))


def _saved_mg(row: Row) -> int:
    return (row["mg"] or 0) - (row["would_mg"] or 0)
