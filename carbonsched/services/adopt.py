"""Following Slurm: which jobs there are, what their owners ask, and how they ended."""

from __future__ import annotations

from dataclasses import replace

from carbonsched.errors import ForbiddenError, RequestError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.directives import Directives, decode_mark
from carbonsched.model.job import Job
from carbonsched.ports import Clock
from carbonsched.services.gate import QUOTA_NOTE, owners_begin_in
from carbonsched.services.managed import Clusters, ManagedCluster

LOOK_BACK_S = 86_400
"""How far the first look into the accounting database reaches after a start of the daemon."""
OVERLAP_S = 300
"""How far each later look reaches back: slurmdbd may learn of a job's end late."""
LEASE_SLACK_S = 2
"""How far a begin time may be from submission + lease and still be the lease."""


class AdoptJobs:
    """Keeps the ledger's jobs equal to Slurm's."""

    def __init__(self, clusters: Clusters, ledger: Ledger, clock: Clock) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._clock = clock
        self._looked_until: dict[str, int] = {}

    def run(self) -> int:
        """One look at every cluster; returns how many jobs are pending or active."""
        return self._clusters.each(self._follow)

    def one(self, cluster: str, job_id: int, directives: Directives, uid: int) -> KnownJob:
        """Adopt a job just submitted.

        Raises:
            RequestError: Slurm does not know the job.
            ForbiddenError: the job is another user's.
        """
        job = self._clusters.get(cluster).cluster.job(job_id)
        if job is None:
            raise RequestError(f"Slurm knows no job {job_id} on {cluster}")
        if job.uid != uid:
            raise ForbiddenError(f"job {job_id} is not yours")
        return self._save(job, directives)

    def _follow(self, managed: ManagedCluster) -> int:
        now = self._clock.now()
        current = managed.cluster.jobs()
        open_before = {known.job.key for known in self._ledger.jobs.open(managed.name)}
        vanished = open_before - {job.key for job in current}
        since = self._looked_until.get(managed.name, now - LOOK_BACK_S) - OVERLAP_S
        past = [
            *managed.cluster.history(since, now + 1),
            *managed.cluster.runs(sorted({key.job_id for key in vanished})),
        ]
        with self._ledger.transaction():
            for job in past:
                if job.ended:
                    self._save(self._under_known_key(job), None)
            for job in current:
                if not self._between_runs(job):
                    self._save(job, None)
        self._looked_until[managed.name] = now
        return len(current)

    def _between_runs(self, job: Job) -> bool:
        """Whether the queue tells of no run: a requeued job whose nodes still clean up.

        It then has the restart count of its next run and the submission of its last one. A run
        that was not seen before it completes is told by the accounting database soon enough.
        """
        completing = job.state == "COMPLETING" and job.key.restarts > 0
        return completing and self._ledger.jobs.get(job.key) is None

    def _under_known_key(self, job: Job) -> Job:
        """A job of the accounting database under the key that the queue gave it.

        slurmdbd does not tell restart counts; id and submission identify a run there too. Nor does
        it always tell every node of a short job: what the queue told of nodes is kept.
        """
        key = job.key
        known = self._ledger.jobs.by_submission(key.cluster, key.job_id, key.submitted_at)
        if known is None:
            return job
        nodes = known.job.nodes if len(known.job.nodes) > len(job.nodes) else job.nodes
        return replace(job, key=known.job.key, nodes=nodes, ended_at=_ended_at(known.job, job))

    def _save(self, job: Job, directives: Directives | None) -> KnownJob:
        now = self._clock.now()
        before = self._ledger.jobs.get(job.key)
        asked = directives or (before.directives if before else self._asked(job))
        known = KnownJob(
            job=job,
            directives=asked,
            begin_at=before.begin_at if before else self._owners_begin(job, asked),
            first_seen_at=before.first_seen_at if before else now,
            seen_at=now,
        )
        self._ledger.jobs.save(known)
        if before is not None and _times(before.job) != _times(job):
            # Readings count within these times only, so what was settled by others is not final.
            self._ledger.entries.reopen(job.key.cluster, job.key.job_id, job.key.restarts)
        return known

    def _asked(self, job: Job) -> Directives | None:
        """What the mark says; else what an earlier run, or the array that a task left, asked."""
        marked = decode_mark(job.comment)
        if marked is not None:
            return marked
        origin = job.array_job_id or (job.key.job_id if job.key.restarts else None)
        earlier = self._ledger.jobs.latest_run(job.key.cluster, origin) if origin else None
        if earlier is None or earlier.job.uid != job.uid:
            return None
        return earlier.directives

    def _owners_begin(self, job: Job, asked: Directives | None) -> int | None:
        """The begin time that the job came with, unless it is csbatch's lease.

        A requeued job's begin is Slurm's own delay of two minutes, which is to be kept: where a job
        comes back to a node sooner, slurmd does not run the prolog again.
        """
        eligible_at, submitted_at = job.eligible_at, job.key.submitted_at
        if not job.pending or eligible_at is None:
            return None
        if job.key.restarts:
            return eligible_at
        if job.admin_comment.startswith(QUOTA_NOTE):
            return owners_begin_in(job.admin_comment)
        delay_s = eligible_at - submitted_at
        lease_s = asked.lease_s if asked is not None else None
        leased = lease_s is not None and abs(delay_s - lease_s) <= LEASE_SLACK_S
        return None if leased or delay_s <= 0 else eligible_at


def _ended_at(before: Job, told: Job) -> int | None:
    """When a run ended: before its requeue, where it was seen to have ended before that.

    Slurm's record then has the moment of the requeue, until which nothing ran.
    """
    if told.state == "REQUEUED" and before.ended_at is not None and told.ended_at is not None:
        return min(before.ended_at, told.ended_at)
    return told.ended_at


def _times(job: Job) -> tuple[int | None, int | None]:
    return job.started_at, job.ended_at
