"""The event loop: submissions, plans, releases to the queue, starts and ends, to the second."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from carbonsched.sim.dispatch import Dispatcher
from carbonsched.sim.scenario import Run, Scenario, SimCluster, SimJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A submitted job that has not started; ``planned_start_at`` is ``None`` until planned."""

    job: SimJob
    cluster: SimCluster
    planned_start_at: int | None
    queued: bool


class Policy(Protocol):
    """Decides when waiting jobs may start; sees only what was known at the time."""

    @property
    def name(self) -> str:
        """What it is called in tables and file names."""
        ...

    @property
    def replan_s(self) -> int | None:
        """How often to plan anew beside at each submission; ``None`` for never."""
        ...

    def starts(
        self, now: int, waiting: tuple[Waiting, ...], running: tuple[Run, ...]
    ) -> Mapping[str, int]:
        """The earliest start of each waiting job, by job id."""
        ...

    def ended(self, run: Run) -> None:
        """A job has ended: from now on its run time is known."""
        ...


class _Event(IntEnum):
    """Kinds in the order in which events of one second count."""

    END = 0
    SUBMIT = 1
    RELEASE = 2
    PLAN = 3


class Simulation:
    """One policy on one scenario."""

    def __init__(
        self, scenario: Scenario, policy: Policy, progress: Callable[[int], None] | None = None
    ) -> None:
        self._policy = policy
        self._progress = progress or (lambda _: None)
        self._dispatchers = {one.name: Dispatcher(one) for one in scenario.clusters}
        self._order = {job.job_id: index for index, job in enumerate(scenario.jobs)}
        self._waiting: dict[str, Waiting] = {}
        self._running: dict[str, Run] = {}
        self._runs: dict[str, Run] = {}
        self._events: list[tuple[int, int, int, SimJob | None]] = [
            (job.submit_at, _Event.SUBMIT, index, job) for index, job in enumerate(scenario.jobs)
        ]
        self._jobs = scenario.jobs
        heapq.heapify(self._events)
        self._tick_at: int | None = None

    def run(self) -> list[Run]:
        """Every job's run, in the order of the trace."""
        while self._events:
            now = self._events[0][0]
            planning = False
            while self._events and self._events[0][0] == now:
                _, kind, _, job = heapq.heappop(self._events)
                planning |= self._take(now, _Event(kind), job)
            if planning and self._waiting:
                self._plan(now)
            self._dispatch(now)
        return [self._runs[job.job_id] for job in self._jobs]

    def _take(self, now: int, kind: _Event, job: SimJob | None) -> bool:
        """Let one event happen; whether it calls for a plan."""
        if kind is _Event.PLAN or job is None:
            self._tick_at = None
            return True
        if kind is _Event.END:
            run = self._running.pop(job.job_id)
            self._dispatchers[run.cluster.name].finish(job.job_id)
            self._policy.ended(run)
            self._progress(1)
        elif kind is _Event.SUBMIT:
            self._waiting[job.job_id] = Waiting(
                job=job, cluster=self._cluster_for(job), planned_start_at=None, queued=False
            )
            return True
        else:
            self._release(now, job)
        return False

    def _cluster_for(self, job: SimJob) -> SimCluster:
        """The cluster wide enough with the least requested work for each of its nodes."""
        work: dict[str, float] = {
            name: one.requested_work() / one.cluster.nodes
            for name, one in self._dispatchers.items()
            if one.cluster.nodes >= job.nodes
        }
        for waiting in self._waiting.values():
            if not waiting.queued and waiting.cluster.name in work:
                node_s = waiting.job.nodes * waiting.job.requested_s
                work[waiting.cluster.name] += node_s / waiting.cluster.nodes
        return self._dispatchers[min(work, key=lambda name: work[name])].cluster

    def _plan(self, now: int) -> None:
        waiting = tuple(self._waiting.values())
        starts = self._policy.starts(now, waiting, tuple(self._running.values()))
        for one in waiting:
            if one.queued:
                continue
            start_at = max(now, starts[one.job.job_id])
            if start_at == one.planned_start_at:
                continue
            self._waiting[one.job.job_id] = Waiting(
                job=one.job, cluster=one.cluster, planned_start_at=start_at, queued=False
            )
            if start_at == now:
                self._release(now, one.job)
            else:
                index = self._order[one.job.job_id]
                heapq.heappush(self._events, (start_at, _Event.RELEASE, index, one.job))
        self._next_tick(now)

    def _next_tick(self, now: int) -> None:
        every_s = self._policy.replan_s
        deferred = any(not one.queued for one in self._waiting.values())
        if every_s is None or self._tick_at is not None or not deferred:
            return
        self._tick_at = (now // every_s + 1) * every_s
        heapq.heappush(self._events, (self._tick_at, _Event.PLAN, 0, None))

    def _release(self, now: int, job: SimJob) -> None:
        """Hand a job to the queue, unless a later plan has moved it meanwhile."""
        one = self._waiting.get(job.job_id)
        if one is None or one.queued or one.planned_start_at != now:
            return
        self._waiting[job.job_id] = Waiting(
            job=job, cluster=one.cluster, planned_start_at=now, queued=True
        )
        self._dispatchers[one.cluster.name].enqueue(job, self._order[job.job_id])

    def _dispatch(self, now: int) -> None:
        for dispatcher in self._dispatchers.values():
            for run in dispatcher.dispatch(now):
                job = run.job
                del self._waiting[job.job_id]
                self._running[job.job_id] = run
                self._runs[job.job_id] = run
                index = self._order[job.job_id]
                heapq.heappush(self._events, (run.end_at, _Event.END, index, job))
