"""What each job may do in the lower bound, and which of it is cheapest at given prices of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carbonsched.sim.scenario import Scenario, SimCluster, SimJob
from carbonsched.sim.score import LATE_GRACE_S, latest_start
from carbonsched.units import J_PER_KWH, MG_PER_G

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_G_PER_WS_MG = 1 / (J_PER_KWH * MG_PER_G)  # grams for a watt-second at one mg/kWh


class Slots:
    """The time that jobs may use, in equal parts over which node-seconds are counted."""

    def __init__(self, start_at: int, end_at: int, slot_s: int) -> None:
        """From the slot of the first instant to that of the last; ``slot_s`` seconds each."""
        self.slot_s = slot_s
        self.start_at = start_at // slot_s * slot_s
        self.count = -(-(end_at - self.start_at) // slot_s)
        self.edges: Integers = self.start_at + slot_s * np.arange(self.count + 1, dtype=np.int64)

    def overlaps(self, start_at: int, end_at: int) -> tuple[Integers, Floats]:
        """The slots that ``[start_at, end_at)`` touches, and its part of each from 0 to 1."""
        first = (start_at - self.start_at) // self.slot_s
        last = -(-(end_at - self.start_at) // self.slot_s)
        edges = np.clip(self.edges[first : last + 1], start_at, end_at)
        return np.arange(first, last, dtype=np.int64), np.diff(edges) / self.slot_s

    def summed(self, prices: Floats, instants: Integers) -> Floats:
        """The price of one node from the beginning to each instant, at a price per slot."""
        sums = np.concatenate(([0.0], np.cumsum(prices)))
        places = (instants - self.start_at) / self.slot_s
        return np.interp(places, np.arange(len(sums)), sums)


@dataclass(frozen=True, slots=True)
class Column:
    """One way to run a job: what it emits (grams), and the mean nodes that it uses of slots."""

    job: int
    grams: float
    rows: Integers
    nodes: Floats


@dataclass(frozen=True, slots=True)
class _Window:
    """When a job may run on a cluster, as the scenario's rules say."""

    job: int
    cluster: int
    first_at: int
    last_at: int


class _Grid:
    """A cluster's intensity: the instants at which it or the slot changes, and its integral."""

    def __init__(self, cluster: SimCluster, scenario: Scenario, slots: Slots) -> None:
        points = scenario.intensity[cluster.zone].points
        self.end_at = points[-1].end_at
        times = np.array([point.start_at for point in points] + [self.end_at])
        levels = np.array([point.mg_per_kwh for point in points], dtype=np.float64)
        self.edges: Integers = np.union1d(times, slots.edges)
        sums = np.concatenate(([0.0], np.cumsum(levels * np.diff(times))))
        self._integral: Floats = np.interp(self.edges, times, sums) * _G_PER_WS_MG

    def between(self, starts: Integers, ends: Integers) -> Floats:
        """Grams of one watt that is drawn from each start to each end."""
        found: Floats = np.interp(ends, self.edges, self._integral)
        return found - np.interp(starts, self.edges, self._integral)

    def within(self, first_at: int, last_at: int) -> Integers:
        """The edges from one instant to another."""
        low, high = np.searchsorted(self.edges, [first_at, last_at + 1])
        return self.edges[low:high]


class Choices:
    """All that the jobs of a scenario may do, for pricing by :meth:`cheapest`.

    A job that cannot pause has, for each cluster, the starts at which it or its end meets an edge
    of intensity or slot, and its first and last start. Between two of these both its emission and
    its use of each slot are linear in the start, so that any start is a mixture of two of them.
    A job that can be checkpointed has all ways to spread its run time over its window.
    """

    def __init__(self, scenario: Scenario, immediate: Mapping[str, int], slots: Slots) -> None:
        self.slots = slots
        self._jobs = scenario.jobs
        self._grids = [_Grid(one, scenario, slots) for one in scenario.clusters]
        rigid: list[_Window] = []
        free: list[_Window] = []
        for index, job in enumerate(scenario.jobs):
            last_at = latest_start(job, immediate[job.job_id]) + LATE_GRACE_S
            for place, cluster in enumerate(scenario.clusters):
                if cluster.nodes < job.nodes:
                    continue
                until = min(last_at, self._grids[place].end_at - job.runtime_s)
                if until >= job.submit_at:
                    window = _Window(index, place, job.submit_at, until)
                    (free if job.checkpointable else rigid).append(window)
        self._starts = _Starts(rigid, scenario.jobs, self._grids, slots)
        self._spreads = _Spreads(free, scenario.jobs, self._grids, slots)

    def cheapest(self, prices: Floats) -> tuple[Floats, list[Column]]:
        """Each job's least grams plus price of nodes, and the column that has it.

        ``prices`` are grams for a node and slot, by cluster and slot.
        """
        values = np.full(len(self._jobs), np.inf)
        columns: dict[int, Column] = {}
        for kind in (self._starts, self._spreads):
            for value, column in kind.cheapest(prices):
                values[column.job] = value
                columns[column.job] = column
        return values, list(columns.values())

    def run(self, job: int, cluster: int, start_at: int) -> Column:
        """The column of one uninterrupted run."""
        one = self._jobs[job]
        end_at = start_at + one.runtime_s
        rows, parts = self.slots.overlaps(start_at, end_at)
        watts = one.nodes * one.power_w
        grams = self._grids[cluster].between(np.array([start_at]), np.array([end_at]))
        return Column(
            job, watts * float(grams[0]), rows + cluster * self.slots.count, one.nodes * parts
        )


class _Starts:
    """Jobs that cannot pause."""

    def __init__(
        self,
        windows: Sequence[_Window],
        jobs: Sequence[SimJob],
        grids: Sequence[_Grid],
        slots: Slots,
    ) -> None:
        self._slots = slots
        self._all_jobs = jobs
        starts, grams = [], []
        for one in windows:
            job, grid = jobs[one.job], grids[one.cluster]
            ends_at_edges = grid.within(one.first_at + job.runtime_s, one.last_at + job.runtime_s)
            some = np.concatenate(
                (
                    [one.first_at, one.last_at],
                    grid.within(one.first_at, one.last_at),
                    ends_at_edges - job.runtime_s,
                )
            )
            starts.append(np.unique(some))
            watts = job.nodes * job.power_w
            grams.append(watts * grid.between(starts[-1], starts[-1] + job.runtime_s))
        sizes = [len(some) for some in starts]
        self._job = np.repeat(np.array([one.job for one in windows], dtype=np.int64), sizes)
        self._cluster = np.repeat(np.array([one.cluster for one in windows], dtype=np.int64), sizes)
        self._start = np.concatenate([np.empty(0, dtype=np.int64), *starts])
        self._grams = np.concatenate([np.empty(0), *grams])
        self._nodes = np.array([job.nodes for job in jobs], dtype=np.float64)[self._job]
        lengths = np.array([job.runtime_s for job in jobs], dtype=np.int64)
        self._end = self._start + lengths[self._job]
        self._firsts = np.flatnonzero(np.diff(self._job, prepend=-1))

    def cheapest(self, prices: Floats) -> list[tuple[float, Column]]:
        """By job: the least of grams plus price, and its column."""
        if not len(self._job):
            return []
        values = self._grams.copy()
        for cluster, some in enumerate(prices):
            here = self._cluster == cluster
            used = self._slots.summed(some, self._end[here])
            used -= self._slots.summed(some, self._start[here])
            values[here] += self._nodes[here] * used
        least = np.minimum.reduceat(values, self._firsts)
        sizes = np.diff(self._firsts, append=len(values))
        hits = np.flatnonzero(values == np.repeat(least, sizes))
        hits = hits[np.unique(self._job[hits], return_index=True)[1]]
        return [(float(values[hit]), self._column(int(hit))) for hit in hits]

    def _column(self, hit: int) -> Column:
        rows, parts = self._slots.overlaps(int(self._start[hit]), int(self._end[hit]))
        rows = rows + int(self._cluster[hit]) * self._slots.count
        return Column(
            int(self._job[hit]), float(self._grams[hit]), rows, float(self._nodes[hit]) * parts
        )


class _Spreads:
    """Jobs that may pause for nothing: a window's cheapest cells until the work is done."""

    def __init__(
        self,
        windows: Sequence[_Window],
        jobs: Sequence[SimJob],
        grids: Sequence[_Grid],
        slots: Slots,
    ) -> None:
        self._slots = slots
        self._windows = windows
        self._jobs = jobs
        lengths, grams, places = [], [], []
        for one in windows:
            job, grid = jobs[one.job], grids[one.cluster]
            end_at = one.last_at + job.runtime_s
            edges = np.union1d([one.first_at, end_at], grid.within(one.first_at, end_at))
            lengths.append(np.diff(edges))
            watts = job.nodes * job.power_w
            grams.append(watts * grid.between(edges[:-1], edges[1:]) / lengths[-1])
            slot = (edges[:-1] - slots.start_at) // slots.slot_s
            places.append(slot + one.cluster * slots.count)
        sizes = [len(some) for some in lengths]
        self._group = np.repeat(np.arange(len(windows), dtype=np.int64), sizes)
        self._length = np.concatenate([np.empty(0, dtype=np.int64), *lengths])
        self._grams_s = np.concatenate([np.empty(0), *grams])
        self._row = np.concatenate([np.empty(0, dtype=np.int64), *places])
        owner = np.array([one.job for one in windows], dtype=np.int64)
        nodes = np.array([job.nodes for job in jobs], dtype=np.float64)
        self._nodes = nodes[owner[self._group]]
        self._work = np.array([job.runtime_s for job in jobs], dtype=np.int64)[owner]
        self._firsts = np.flatnonzero(np.diff(self._group, prepend=-1))

    def cheapest(self, prices: Floats) -> list[tuple[float, Column]]:
        """By job: the least of grams plus price, and its column."""
        if not self._windows:
            return []
        rates = self._grams_s + self._nodes * prices.ravel()[self._row] / self._slots.slot_s
        order = np.lexsort((rates, self._group))  # groups stay where they are
        sums = np.cumsum(self._length[order])
        before = sums - self._length[order]
        before -= np.repeat(before[self._firsts], np.diff(self._firsts, append=len(sums)))
        taken = np.empty_like(self._length)
        left = self._work[self._group] - before
        taken[order] = np.clip(left, 0, self._length[order])
        values = np.add.reduceat(taken * rates, self._firsts)
        best: dict[int, int] = {}
        for group, one in enumerate(self._windows):
            if one.job not in best or values[group] < values[best[one.job]]:
                best[one.job] = group
        return [(float(values[group]), self._column(group, taken)) for group in best.values()]

    def _column(self, group: int, taken: Integers) -> Column:
        low = self._firsts[group]
        high = self._firsts[group + 1] if group + 1 < len(self._firsts) else len(taken)
        some, here = taken[low:high], slice(low, high)
        rows, places = np.unique(self._row[here], return_inverse=True)
        nodes = np.zeros(len(rows))
        np.add.at(nodes, places, self._nodes[here] * some / self._slots.slot_s)
        used = nodes > 0
        grams = float(np.sum(some * self._grams_s[here]))
        return Column(self._windows[group].job, grams, rows[used], nodes[used])
