"""What a planner may know at a time: earlier runs, issued forecasts, submissions so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from carbonsched.model.intensity import Forecast
from carbonsched.model.spread import Spread
from carbonsched.planning import Expected, Usual, expected_by_hour
from carbonsched.prediction.arrivals import Arrivals
from carbonsched.prediction.runtimes import RunTimes, Unfinished
from carbonsched.sim.engine import Running
from carbonsched.sim.foreseen import ForeseenGrid
from carbonsched.sim.scenario import Run, Scenario, SimCluster, SimJob

AHEAD_H = 36
"""So many hours ahead are submissions reckoned with."""

_RECENT = 500


class KnownLengths(Protocol):
    """How long jobs may run."""

    def of(self, job: SimJob, done_s: int = 0) -> Spread:
        """What is left of one that does not run, of which ``done_s`` are done."""
        ...

    def left(self, one: Running, now: int) -> Spread:
        """How much longer one that runs may run."""
        ...

    def go_on(self, running: Sequence[Running], now: int) -> None:
        """These run now."""
        ...

    def ended(self, run: Run) -> None:
        """From now on its run time is known."""
        ...


class KnownGrid(Protocol):
    """What the grid will do."""

    def forecast(self, zone: str, now: int) -> Forecast | None:
        """Its intensity ahead; ``None`` where nothing is known."""
        ...


class KnownArrivals(Protocol):
    """What will be submitted."""

    def submitted(self, job: SimJob) -> None:
        """A job has come."""
        ...

    def ended(self, run: Run) -> None:
        """From now on its work is known."""
        ...

    def expected(self, now: int) -> tuple[Expected, ...]:
        """What will come in the next ``AHEAD_H`` hours."""
        ...


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that the planner is told beside the state of queue and nodes."""

    lengths: KnownLengths
    grid: KnownGrid
    arrivals: KnownArrivals


def learnt(scenario: Scenario) -> Knowledge:
    """What a site knows."""
    lengths = LearntLengths()
    return Knowledge(lengths, ForeseenGrid(scenario), LearntArrivals(scenario.clusters, lengths))


class LearntLengths:
    """By the runs that have ended."""

    def __init__(self) -> None:
        self._run_times = RunTimes()

    def of(self, job: SimJob, done_s: int = 0) -> Spread:
        """Like those before it."""
        if done_s:
            return self._run_times.left(job.user, job.nodes, job.requested_s, done_s)
        return self._run_times.of(job.user, job.nodes, job.requested_s)

    def left(self, one: Running, now: int) -> Spread:
        """Like those before it that ran as long."""
        return self.of(one.run.job, one.done_s + now - one.run.start_at)

    def go_on(self, running: Sequence[Running], now: int) -> None:
        """They take longer than so far."""
        self._run_times.go_on(
            Unfinished(
                one.run.job.user,
                one.run.job.nodes,
                one.run.job.requested_s,
                one.done_s + now - one.run.start_at,
            )
            for one in running
        )

    def ended(self, run: Run) -> None:
        """Learn from it."""
        job = run.job
        self._run_times.ended(job.user, job.nodes, job.requested_s, job.runtime_s)


class LearntArrivals:
    """By the work that came at the same hours of the days before."""

    def __init__(self, clusters: Sequence[SimCluster], lengths: KnownLengths) -> None:
        self._clusters = clusters
        self._lengths = lengths
        self._arrivals = Arrivals()
        self._node_s: dict[str, float] = {}
        self._recent: list[SimJob] = []

    def submitted(self, job: SimJob) -> None:
        """Its work counts as what it is expected to be."""
        if job.job_id in self._node_s:
            return
        node_s = self._node_s[job.job_id] = job.nodes * self._lengths.of(job).mean_s
        self._arrivals.submitted(job.submit_at, node_s)
        self._recent = [*self._recent[1 - _RECENT :], job]

    def ended(self, run: Run) -> None:
        """Its work counts as what it was."""
        job = run.job
        known_s = self._node_s.pop(job.job_id)
        self._arrivals.corrected(job.submit_at, job.nodes * job.runtime_s - known_s)

    def expected(self, now: int) -> tuple[Expected, ...]:
        """Jobs to come, as many of the recent ones' mean as there is work in each hour."""
        recent = self._recent
        if not recent:
            return ()
        lengths = [self._lengths.of(job) for job in recent]
        work = np.array([job.nodes * one.mean_s for job, one in zip(recent, lengths, strict=True)])
        usual = Usual(
            length=Spread.mixture(
                (one, job.nodes) for job, one in zip(recent, lengths, strict=True)
            ),
            watts_per_cpu=float(work @ np.array([job.power_w for job in recent]) / work.sum()),
            delay_s=float(work @ np.array([job.max_delay_s for job in recent]) / work.sum()),
        )
        hours = self._arrivals.expected(now, AHEAD_H)
        return expected_by_hour(now, hours, usual, [one.name for one in self._clusters])
