"""What the batch scheduler does: first in, first out, with EASY backfill."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

from carbonsched.sim.scenario import SimCluster, SimJob


@dataclass(order=True, slots=True)
class _Queued:
    submit_at: int
    order: int
    job: SimJob = field(compare=False)


class Dispatcher:
    """One cluster's queue and nodes.

    The first job that does not fit is reserved the time at which enough of the running jobs will
    have reached their requested length. A later job may pass it if it ends before that time, or
    uses only nodes that will then be left over (Lifka 1995).
    """

    def __init__(self, cluster: SimCluster) -> None:
        self.cluster = cluster
        self.running: dict[str, tuple[SimJob, int]] = {}  # with its requested end
        self._free = cluster.nodes
        self._queue: list[_Queued] = []
        self._ends: list[tuple[int, int]] = []  # requested end and nodes, in order

    @property
    def queued(self) -> list[SimJob]:
        """The jobs that wait for nodes, in their order."""
        return [one.job for one in self._queue]

    def requested_work(self) -> int:
        """Node-seconds that the running and the queued jobs requested, whole."""
        jobs = [job for job, _ in self.running.values()] + self.queued
        return sum(job.nodes * job.requested_s for job in jobs)

    def enqueue(self, job: SimJob, order: int) -> None:
        """A job may run from now on; ``order`` breaks ties between equal times."""
        insort(self._queue, _Queued(job.submit_at, order, job))

    def withdraw(self, job_id: str) -> None:
        """A job that waits for nodes is to run elsewhere, or later."""
        self._queue = [one for one in self._queue if one.job.job_id != job_id]

    def finish(self, job_id: str) -> None:
        """A job has ended; its nodes are free."""
        job, requested_end_at = self.running.pop(job_id)
        self._free += job.nodes
        self._ends.remove((requested_end_at, job.nodes))

    def dispatch(self, now: int) -> list[SimJob]:
        """Start what may start now."""
        started: list[SimJob] = []
        while self._queue and self._queue[0].job.nodes <= self._free:
            started.append(self._start(self._queue.pop(0).job, now))
        if self._queue and self._free:
            started.extend(self._backfill(now))
        return started

    def _backfill(self, now: int) -> list[SimJob]:
        started: list[SimJob] = []
        shadow_at, extra = self._reservation(self._queue[0].job)
        left: list[_Queued] = [self._queue[0]]
        for waiting in self._queue[1:]:
            job = waiting.job
            ends_before = now + job.requested_s <= shadow_at
            if job.nodes <= self._free and (ends_before or job.nodes <= extra):
                if not ends_before:
                    extra -= job.nodes
                started.append(self._start(job, now))
            else:
                left.append(waiting)
        self._queue = left
        return started

    def _reservation(self, head: SimJob) -> tuple[int, int]:
        """When the head job will fit at the latest, and how many nodes it then leaves over."""
        free = self._free
        shadow_at: int | None = None
        for end_at, nodes in self._ends:
            if shadow_at is not None and end_at > shadow_at:
                break
            free += nodes
            if shadow_at is None and free >= head.nodes:
                shadow_at = end_at
        if shadow_at is None:
            raise AssertionError("a job wider than the cluster was queued")
        return shadow_at, free - head.nodes

    def _start(self, job: SimJob, now: int) -> SimJob:
        requested_end_at = now + job.requested_s
        self._free -= job.nodes
        self.running[job.job_id] = (job, requested_end_at)
        insort(self._ends, (requested_end_at, job.nodes))
        return job
