"""The planner by prices: each job's start by its emissions and by what the nodes are worth then.

Every half-hour prices are found at which what waits, and what is expected to come, fits into the
nodes. At every plan jobs are then placed one by one at the start that costs them least, the largest
first, as nodes that are free together are what lacks most. Jobs whose latest start comes near, by
a pessimistic reckoning, go first. See docs/adr/0015-prices-on-capacity.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from carbonsched.planning import Busy, ClusterState, PlanningParameters
from carbonsched.planning.capacity import Room
from carbonsched.planning.lengths import Floats, Lengths
from carbonsched.prediction.arrivals import Arrivals
from carbonsched.prediction.runtimes import RunTimes, Spread
from carbonsched.sim.engine import Waiting
from carbonsched.sim.outlook import Ask, Outlook, look_ahead
from carbonsched.sim.scenario import Run, Scenario, SimCluster, SimJob
from carbonsched.units import PPM

_SLOT_S = 1800
_HORIZON = 112
_ROOM_SLOT_S = 900
_EXPECTED_H = 36
_SPARE_S = 5400
"""So long before its latest start a job is to have its nodes."""
_CAREFUL = 0.8
_TYPICAL = 0.6
_RECENT = 500


@dataclass(slots=True)
class _Known:
    """A job that has been submitted, and what was thought of it then."""

    job: SimJob
    node_s: float
    row: Floats


class PricedPolicy:
    """Prices on capacity, and placement by them."""

    name = "priced"
    replan_s: int | None = 300

    def __init__(self, scenario: Scenario, parameters: PlanningParameters) -> None:
        self._scenario = scenario
        self._least_gain = parameters.minimum_gain_pct / 100
        self._lengths = Lengths(_SLOT_S, _HORIZON)
        self._run_times = RunTimes()
        self._arrivals = {one.name: Arrivals() for one in scenario.clusters}
        self._known: dict[str, dict[str, _Known]] = {one.name: {} for one in scenario.clusters}
        self._outlooks: dict[str, Outlook] = {}

    def ended(self, run: Run) -> None:
        """Learn from it."""
        job = run.job
        self._run_times.ended(job.user, job.nodes, job.requested_s, job.runtime_s)
        known = self._known[run.cluster.name][job.job_id]
        self._arrivals[run.cluster.name].corrected(
            job.submit_at, job.nodes * job.runtime_s - known.node_s
        )

    def starts(
        self, now: int, waiting: tuple[Waiting, ...], running: tuple[Run, ...]
    ) -> Mapping[str, int]:
        """Each cluster by itself."""
        found: dict[str, int] = {}
        for cluster in self._scenario.clusters:
            mine = [one for one in waiting if one.cluster.name == cluster.name]
            runs = [run for run in running if run.cluster.name == cluster.name]
            for one in mine:
                self._meet(one.job, cluster)
            found |= self._of_cluster(now, cluster, mine, runs)
        return found

    def _meet(self, job: SimJob, cluster: SimCluster) -> None:
        known = self._known[cluster.name]
        if job.job_id in known:
            return
        node_s = job.nodes * self._spread(job).mean_s
        known[job.job_id] = _Known(job, node_s, self._row(self._spread(job)))
        self._arrivals[cluster.name].submitted(job.submit_at, node_s)

    def _of_cluster(
        self, now: int, cluster: SimCluster, waiting: Sequence[Waiting], runs: Sequence[Run]
    ) -> dict[str, int]:
        outlook = self._outlook(now, cluster, waiting, runs)
        if outlook is None:
            return dict.fromkeys((one.job.job_id for one in waiting), now)
        room = self._room(now, cluster, runs, _TYPICAL)
        found: dict[str, int] = {}
        pressed = self._pressed(now, cluster, waiting, runs)
        for job in sorted(pressed.values(), key=_latest):
            room.take_first_fit(now, self._length_s(job, _TYPICAL), job.nodes)
            found[job.job_id] = now
        free = [one.job for one in waiting if one.job.job_id not in pressed]
        for job in sorted(free, key=lambda job: (-self._area(job), job.job_id)):
            found[job.job_id] = self._place(now, job, room, outlook)
        return found

    # What is ahead

    def _outlook(
        self, now: int, cluster: SimCluster, waiting: Sequence[Waiting], runs: Sequence[Run]
    ) -> Outlook | None:
        """Half an hour old at most."""
        last = self._outlooks.get(cluster.name)
        if last is not None and now - last.made_at < _SLOT_S:
            return last
        forecast = self._scenario.forecast(cluster.zone, now)
        if forecast is None:
            return None
        asks = [
            Ask(
                nodes=one.job.nodes,
                power_w=one.job.power_w,
                row=self._row(self._spread(one.job)),
                first=0,
                last=_slot(_latest(one.job) - _SPARE_S - now),
            )
            for one in waiting
        ]
        asks += self._expected(now, cluster)
        made = look_ahead(
            self._lengths,
            now,
            forecast,
            self._free(now, cluster, runs),
            asks,
            None if last is None else last.shifted(now),
        )
        if made is not None:
            self._outlooks[cluster.name] = made
        return made

    def _free(self, now: int, cluster: SimCluster, runs: Sequence[Run]) -> Floats:
        held = np.zeros(self._lengths.horizon)
        for run in runs:
            row = self._row(self._left(run, now))
            held += run.job.nodes * self._lengths.remaining(row)
        free: Floats = np.maximum(0.0, cluster.nodes - held)
        return free

    def _expected(self, now: int, cluster: SimCluster) -> list[Ask]:
        """Jobs to come, as many of the recent ones' mean as there is work in each hour."""
        recent = list(self._known[cluster.name].values())[-_RECENT:]
        if not recent:
            return []
        nodes = np.array([one.job.nodes for one in recent], dtype=np.float64)
        work = np.array([one.node_s for one in recent])
        row: Floats = nodes @ np.array([one.row for one in recent]) / nodes.sum()
        power_w = float(work @ np.array([one.job.power_w for one in recent]) / work.sum())
        delay_s = float(work @ np.array([one.job.max_delay_s for one in recent]) / work.sum())
        node_s = float(row @ self._lengths.slots) * _SLOT_S
        hours = self._arrivals[cluster.name].expected(now, _EXPECTED_H)
        return [
            Ask(
                nodes=node_s_to_come / node_s,
                power_w=power_w,
                row=row,
                first=hour * 3600 // _SLOT_S + 1,
                last=_slot(max((hour + 1) * 3600, hour * 3600 + delay_s - _SPARE_S)),
            )
            for hour, node_s_to_come in enumerate(hours)
        ]

    # Placing

    def _pressed(
        self, now: int, cluster: SimCluster, waiting: Sequence[Waiting], runs: Sequence[Run]
    ) -> dict[str, SimJob]:
        """Those that are in the queue, and those that may be late unless they go there now.

        If everything went into the queue now, in order of latest starts, and ran long.
        """
        room = self._room(now, cluster, runs, _CAREFUL)
        pressed: dict[str, SimJob] = {}
        for one in sorted(waiting, key=lambda one: (not one.queued, _latest(one.job))):
            job = one.job
            found_at = room.take_first_fit(now, self._length_s(job, _CAREFUL), job.nodes)
            start_at = now + _HORIZON * _SLOT_S if found_at is None else found_at
            if one.queued or start_at > _latest(job) - _SPARE_S:
                pressed[job.job_id] = job
        return pressed

    def _place(self, now: int, job: SimJob, room: Room, outlook: Outlook) -> int:
        """The start that costs least where there is room; now if waiting gains too little."""
        length_s = self._length_s(job, _TYPICAL)
        starts = self._starts(now, _latest(job) - _SPARE_S)
        row = self._row(self._spread(job))
        slots = (starts - outlook.made_at) / _SLOT_S
        carbon = outlook.carbon(row, job.power_w)
        cost = np.interp(slots, np.arange(_HORIZON), carbon + outlook.worth(row))
        fitting = room.fits(starts, length_s, job.nodes)
        if not fitting.any():
            room.take_first_fit(now, length_s, job.nodes)
            return int(starts[-1])
        best = int(np.where(fitting, cost, np.inf).argmin())
        if fitting[0] and cost[0] - cost[best] <= self._least_gain * carbon[0]:
            best = 0
        room.take(int(starts[best]), length_s, job.nodes)
        return int(starts[best])

    def _room(self, now: int, cluster: SimCluster, runs: Sequence[Run], share: float) -> Room:
        busy = tuple(
            Busy(
                cpus=run.job.nodes,
                until_at=now + math.ceil(max(1.0, self._left(run, now).quantile_s(share))),
            )
            for run in runs
        )
        state = ClusterState(
            name=cluster.name, cpus=cluster.nodes, pue_ppm=PPM, forecast=None, busy=busy
        )
        return Room(state, now, now + _HORIZON * _SLOT_S, _ROOM_SLOT_S)

    @staticmethod
    def _starts(now: int, last_at: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Now, and the beginnings of slots up to an instant."""
        first_at = (now // _ROOM_SLOT_S + 1) * _ROOM_SLOT_S
        later = np.arange(first_at, last_at + 1, _ROOM_SLOT_S, dtype=np.int64)
        return np.concatenate((np.array([now], dtype=np.int64), later))

    # Jobs

    def _spread(self, job: SimJob) -> Spread:
        return self._run_times.of(job.user, job.nodes, job.requested_s)

    def _left(self, run: Run, now: int) -> Spread:
        job = run.job
        return self._run_times.left(job.user, job.nodes, job.requested_s, now - run.start_at)

    def _row(self, spread: Spread) -> Floats:
        return self._lengths.weights(spread.seconds, spread.weights)

    def _length_s(self, job: SimJob, share: float) -> int:
        """How long it is counted; at least its mean, for a backlog lasts as long as the means."""
        spread = self._spread(job)
        return max(1, math.ceil(max(spread.mean_s, spread.quantile_s(share))))

    def _area(self, job: SimJob) -> int:
        return job.nodes * self._length_s(job, _TYPICAL)


def _latest(job: SimJob) -> int:
    return job.submit_at + job.max_delay_s


def _slot(seconds: float) -> int:
    return int(min(_HORIZON - 1, max(0, seconds // _SLOT_S)))
