"""The least that a schedule without a late job can have emitted, for one who knows the future."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from carbonsched.sim.bound_columns import Choices, Column, Slots
from carbonsched.sim.bound_master import Master
from carbonsched.sim.scenario import Run, Scenario
from carbonsched.sim.score import LATE_GRACE_S, first_starts, latest_start
from carbonsched.sim.segments import by_job

SLOT_S = 3600
GAP = 1e-5
"""The search ends when bound and programme are this close, as a share of the latter."""

_ROUNDING = 1e-9  # sums of some thousand doubles are right to better than this
_SMOOTHING = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """``kg`` is proven; the linear programme's own value lies from it to ``programme_kg``."""

    kg: float
    programme_kg: float
    seconds: float

    @property
    def gap(self) -> float:
        """How far the two are apart, as a share of the latter."""
        return 1 - self.kg / self.programme_kg if self.programme_kg else 0.0


def lower_bound(
    scenario: Scenario,
    immediate: Sequence[Run],
    *,
    slot_s: int = SLOT_S,
    time_limit_s: float = 300,
    progress: Callable[[float], None] = lambda _: None,
) -> Bound:
    """A linear programme over mixtures of all that each job may do, solved by generating columns.

    It knows run times, arrivals and actual intensity. A job starts from its submission to the last
    start that is not late beside ``immediate``, on any cluster that is wide enough; checkpointable
    jobs may pause for nothing. No cluster uses more node-seconds in a slot than it has.

    Nothing valid and on time is below it. *Clusters:* a schedule that never uses more nodes than
    there are keeps to each slot's mean. *Starts:* as a start moves, the emission of a run and its
    node-seconds in each slot change linearly until it or its end meets an edge of intensity or
    slot, so that a start between two such instants is a mixture of both with the same emission and
    use; these instants and the window's ends are the columns. *Pauses:* a job with segments works
    at most at its width in each cell of its window and at least for its run time, which is all
    that its columns ask. So each real schedule is a solution, and the least solution is no more.

    *Stopping early:* whatever prices of nodes are not negative, the sum over jobs of the least
    emission plus price, less the price of all nodes, is at most the programme's value (Lagrange).
    The best of these sums is the bound: it needs neither the solver's tolerances nor its end.
    Prices are the programme's over the columns found so far, smoothed towards the best ones
    (Wentges 1997).

    ``progress`` is told how far it has come, from 0 to 1.
    """
    began = time.monotonic()
    starts = first_starts(immediate)
    slots = _slots(scenario, starts, slot_s)
    choices = Choices(scenario, starts, slots)
    nodes = np.array([[one.nodes] for one in scenario.clusters], dtype=np.float64)
    room = np.repeat(nodes, slots.count, axis=1)
    master = Master(room, len(scenario.jobs))
    known = _as_it_was(scenario, immediate, choices)
    master.add(known)
    best, programme = 0.0, sum(one.grams for one in known)
    prices = best_prices = np.zeros_like(room)
    while True:
        tried = _SMOOTHING * best_prices + (1 - _SMOOTHING) * prices
        values, columns = choices.cheapest(tried)
        proven = float(values.sum() - np.sum(tried * room))
        if proven > best:
            best, best_prices = proven, tried
        progress(_share_done(1 - best / programme if programme else 0.0))
        left_s = time_limit_s - (time.monotonic() - began)
        if best >= (1 - GAP) * programme or left_s <= 0:
            break
        master.add(columns)
        found = master.solve(left_s)
        if found is None:
            break
        programme, prices = found
    return Bound(
        kg=best * (1 - _ROUNDING) / 1000,
        programme_kg=programme / 1000,
        seconds=time.monotonic() - began,
    )


def _share_done(gap: float) -> float:
    """The gap shrinks by a like factor each round."""
    return min(1.0, max(0.0, math.log(max(gap, GAP)) / math.log(GAP)))


def _slots(scenario: Scenario, starts: Mapping[str, int], slot_s: int) -> Slots:
    first_at = min(job.submit_at for job in scenario.jobs)
    last_at = max(
        latest_start(job, starts[job.job_id]) + LATE_GRACE_S + job.runtime_s
        for job in scenario.jobs
    )
    return Slots(first_at, last_at, slot_s)


def _as_it_was(scenario: Scenario, immediate: Sequence[Run], choices: Choices) -> list[Column]:
    """A solution to start from: the schedule that defers nothing."""
    places = {cluster.name: index for index, cluster in enumerate(scenario.clusters)}
    runs = by_job(immediate)
    return [
        choices.run(index, places[runs[job.job_id][0].cluster.name], runs[job.job_id][0].start_at)
        for index, job in enumerate(scenario.jobs)
    ]
