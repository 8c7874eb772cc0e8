"""The event loop: submissions, plans, releases to the queue, starts and ends, to the second."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

from carbonsched.sim.dispatch import Dispatcher
from carbonsched.sim.scenario import Run, Scenario, SimCluster, SimJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A submitted job that does not run; ``planned_start_at`` is ``None`` until planned.

    ``done_s`` of its run time are over where it was paused.
    """

    job: SimJob
    cluster: SimCluster
    planned_start_at: int | None = None
    queued: bool = False
    done_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A job that runs; ``done_s`` of its run time were over when this run of it began."""

    run: Run
    done_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """When a job may start at the earliest, and where: ``None`` for where it waits."""

    at: int
    cluster: SimCluster | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Starts of all waiting jobs by id, and ids of running jobs that are to pause now."""

    starts: Mapping[str, Start]
    pauses: tuple[str, ...] = ()


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

    def decide(
        self, now: int, waiting: tuple[Waiting, ...], running: tuple[Running, ...]
    ) -> Decision:
        """What is to be done now; a job in the queue stays in one, if not on the same cluster."""
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
        self._running: dict[str, Running] = {}
        self._runs: dict[str, list[Run]] = {job.job_id: [] for job in scenario.jobs}
        self._events: list[tuple[int, int, int, SimJob | None]] = [
            (job.submit_at, _Event.SUBMIT, index, job) for index, job in enumerate(scenario.jobs)
        ]
        heapq.heapify(self._events)
        self._tick_at: int | None = None
        self.calls = 0
        """How often a waiting job's start was set or a running one requeued."""

    def run(self) -> list[Run]:
        """Every job's runs, in the order of the trace."""
        while self._events:
            now = self._events[0][0]
            planning = False
            while self._events and self._events[0][0] == now:
                _, kind, _, job = heapq.heappop(self._events)
                planning |= self._take(now, _Event(kind), job)
            if planning:
                self._plan(now)
            self._dispatch(now)
            self._next_tick(now)
        return [run for runs in self._runs.values() for run in runs]

    def _take(self, now: int, kind: _Event, job: SimJob | None) -> bool:
        """Let one event happen; whether it calls for a plan."""
        if kind is _Event.PLAN or job is None:
            self._tick_at = None
            return True
        if kind is _Event.END:
            self._end(now, job)
        elif kind is _Event.SUBMIT:
            self._waiting[job.job_id] = Waiting(job=job, cluster=self._cluster_for(job))
            return True
        else:
            self._release(now, job)
        return False

    def _end(self, now: int, job: SimJob) -> None:
        """A run is over, unless the job was paused before."""
        running = self._running.get(job.job_id)
        if running is None or running.run.end_at != now:
            return
        del self._running[job.job_id]
        self._dispatchers[running.run.cluster.name].finish(job.job_id)
        self._runs[job.job_id].append(running.run)
        self._policy.ended(running.run)
        self._progress(1)

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
        decision = self._policy.decide(now, waiting, tuple(self._running.values()))
        for job_id in decision.pauses:
            self._pause(now, job_id)
        for one in waiting:
            start = decision.starts[one.job.job_id]
            if one.queued:
                self._requeue(one, start.cluster or one.cluster)
            else:
                self._move(now, one, start)

    def _move(self, now: int, one: Waiting, start: Start) -> None:
        start_at, cluster = max(now, start.at), start.cluster or one.cluster
        if start_at == one.planned_start_at and cluster == one.cluster:
            return
        job = one.job
        self._waiting[job.job_id] = replace(one, cluster=cluster, planned_start_at=start_at)
        if start_at > now or one.planned_start_at is not None:
            self.calls += 1
        if start_at == now:
            self._release(now, job)
        else:
            index = self._order[job.job_id]
            heapq.heappush(self._events, (start_at, _Event.RELEASE, index, job))

    def _requeue(self, one: Waiting, cluster: SimCluster) -> None:
        """From the queue of its cluster to that of another."""
        if cluster == one.cluster:
            return
        job = one.job
        self._waiting[job.job_id] = replace(one, cluster=cluster)
        self._dispatchers[one.cluster.name].withdraw(job.job_id)
        self._dispatchers[cluster.name].enqueue(job, self._order[job.job_id])
        self.calls += 1

    def _pause(self, now: int, job_id: str) -> None:
        """Take a running job off its nodes: it waits again, with a checkpoint's work on top."""
        running = self._running[job_id]
        run = running.run
        if not run.job.checkpointable or run.start_at >= now:
            raise AssertionError(f"job {job_id} cannot be paused")
        del self._running[job_id]
        self._dispatchers[run.cluster.name].finish(job_id)
        self._runs[job_id].append(replace(run, end_at=now))
        done_s = run.job.runtime_s - (run.end_at - now)
        self._waiting[job_id] = Waiting(job=run.job, cluster=run.cluster, done_s=done_s)
        self.calls += 1
        self._plan_at(now + 1)

    def _next_tick(self, now: int) -> None:
        """Plan anew on time while that can change anything."""
        every_s = self._policy.replan_s
        if every_s is None:
            return
        several = len(self._dispatchers) > 1
        movable = any(several or not one.queued for one in self._waiting.values())
        pausable = any(one.run.job.checkpointable for one in self._running.values())
        if movable or pausable:
            self._plan_at((now // every_s + 1) * every_s)

    def _plan_at(self, at: int) -> None:
        if self._tick_at is not None and self._tick_at <= at:
            return
        self._tick_at = at
        heapq.heappush(self._events, (at, _Event.PLAN, 0, None))

    def _release(self, now: int, job: SimJob) -> None:
        """Hand a job to the queue, unless a later plan has moved it meanwhile."""
        one = self._waiting.get(job.job_id)
        if one is None or one.queued or one.planned_start_at != now:
            return
        self._waiting[job.job_id] = replace(one, queued=True)
        self._dispatchers[one.cluster.name].enqueue(job, self._order[job.job_id])

    def _dispatch(self, now: int) -> None:
        for dispatcher in self._dispatchers.values():
            for job in dispatcher.dispatch(now):
                waited = self._waiting.pop(job.job_id)
                length_s = job.runtime_s - waited.done_s
                if self._runs[job.job_id]:
                    length_s += job.checkpoint_s
                run = Run(job=job, cluster=dispatcher.cluster, start_at=now, end_at=now + length_s)
                self._running[job.job_id] = Running(run=run, done_s=waited.done_s)
                index = self._order[job.job_id]
                heapq.heappush(self._events, (run.end_at, _Event.END, index, job))
