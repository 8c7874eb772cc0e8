"""Truths that no planner can have, to tell what not knowing them costs.

A policy that knows any of them is no policy but an analysis: what it gains over the plain one is
what better predictions of that kind could gain at most, given what is known beside. With all three
known, what is missing to the bound is lost by whole jobs on whole nodes and by the queue.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence

from carbonsched.model.intensity import Forecast, SeriesInfo
from carbonsched.model.spread import Spread
from carbonsched.planning import Expected, Place, last_wait_s
from carbonsched.sim.engine import Running
from carbonsched.sim.foreseen import ForeseenGrid
from carbonsched.sim.learnt import (
    AHEAD_H,
    Knowledge,
    KnownLengths,
    LearntArrivals,
    LearntLengths,
)
from carbonsched.sim.names import Truth
from carbonsched.sim.scenario import Run, Scenario, SimJob


def knowing(scenario: Scenario, truths: Sequence[Truth]) -> Knowledge:
    """What a site knows, with these truths in place of what is learnt."""
    lengths = _TrueLengths() if Truth.RUN_TIMES in truths else LearntLengths()
    true_grid = Truth.INTENSITY in truths
    grid = _TrueGrid(scenario) if true_grid else ForeseenGrid(scenario)
    if Truth.ARRIVALS in truths:
        return Knowledge(lengths, grid, _TrueArrivals(scenario, lengths))
    return Knowledge(lengths, grid, LearntArrivals(scenario.clusters, lengths))


class _TrueLengths:
    """To the second."""

    def of(self, job: SimJob, done_s: int = 0) -> Spread:
        return Spread.exactly(job.runtime_s - done_s)

    def left(self, one: Running, now: int) -> Spread:
        return Spread.exactly(max(1, one.run.end_at - now))

    def go_on(self, running: Sequence[Running], now: int) -> None:
        """Nothing is new."""

    def ended(self, run: Run) -> None:
        """Nothing is new."""


class _TrueGrid:
    """What occurred, as if it had been forecast, as far as it is recorded."""

    def __init__(self, scenario: Scenario) -> None:
        self._series = scenario.intensity
        self._ends = {
            zone: [point.end_at for point in series.points]
            for zone, series in scenario.intensity.items()
        }
        self._made: dict[str, tuple[int, Forecast]] = {}

    def forecast(self, zone: str, now: int) -> Forecast | None:
        first = bisect_right(self._ends.get(zone, []), now)
        made = self._made.get(zone)
        if made is None or made[0] != first:
            points = self._series[zone].points[first:] if zone in self._series else ()
            if not points:
                return None
            info = SeriesInfo(provider="scenario", zone=zone, note="what occurred")
            made = self._made[zone] = (first, Forecast(info=info, issued_at=now, points=points))
        return made[1]


class _TrueArrivals:
    """The jobs that will be submitted; how long each runs is as well known as of those that wait.

    Jobs of one hour that allow the same delay and run for about as long count as one.
    """

    def __init__(self, scenario: Scenario, lengths: KnownLengths) -> None:
        self._clusters = scenario.clusters
        self._jobs = scenario.jobs
        self._submits = [job.submit_at for job in scenario.jobs]
        self._lengths = lengths

    def submitted(self, job: SimJob) -> None:
        """It was known."""

    def ended(self, run: Run) -> None:
        """So was that."""

    def expected(self, now: int) -> tuple[Expected, ...]:
        first = bisect_right(self._submits, now)
        end = bisect_left(self._submits, now + AHEAD_H * 3600)
        alike: dict[tuple[int, int, int, int], list[SimJob]] = defaultdict(list)
        for job in self._jobs[first:end]:
            long = int(self._lengths.of(job).mean_s).bit_length() // 2  # by factors of four
            fits = sum(job.nodes <= one.nodes for one in self._clusters)
            alike[(job.submit_at - now) // 3600, job.max_delay_s, long, fits].append(job)
        return tuple(self._as_one(jobs) for jobs in alike.values())

    def _as_one(self, jobs: Sequence[SimJob]) -> Expected:
        lengths = [self._lengths.of(job) for job in jobs]
        nodes = sum(job.nodes for job in jobs)
        length = Spread.mixture((one, job.nodes) for job, one in zip(jobs, lengths, strict=True))
        joules = sum(
            job.nodes * job.power_w * one.mean_s for job, one in zip(jobs, lengths, strict=True)
        )
        widest = max(job.nodes for job in jobs)
        first_at = sum(job.submit_at for job in jobs) // len(jobs)
        return Expected(
            places=tuple(
                Place(cluster=one.name, cpus=nodes, watts=joules / length.mean_s, length=length)
                for one in self._clusters
                if one.nodes >= widest
            ),
            first_at=first_at,
            last_at=first_at + last_wait_s(jobs[0].max_delay_s),
        )
