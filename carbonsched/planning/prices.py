"""What a CPU costs in each slot, so that no more is asked for than there is.

The plan that emits least is a linear program: x(j, k, t) is the share of job j that starts on
cluster k in slot t,

    minimise   sum c(j, k, t) x(j, k, t)
    such that  sum over k, t of x(j, k, t) = 1                     for each job
               sum of CPUs held on k in slot t <= free(k, t)       for each cluster and slot

With a price on each slot's capacity (its Lagrange multiplier) it falls apart: each job takes the
start at which its own emissions and the CPUs it holds cost least. A price goes up while more is
asked for than is free, and down to 0 while less is (the subgradient of the dual). Jobs spread over
starts that cost nearly the same (a soft minimum), without which identical jobs would all jump at
once and prices would not settle. See docs/adr/0015-prices-on-capacity.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbonsched.planning.lengths import Floats, Lengths

ROUNDS = 40
_SOFT = 0.01
"""Starts that differ by this share of the spread of costs count as nearly the same."""
_STEP = 0.25
_COOLING = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What competes for the CPUs of clusters; a row for each job, or for jobs that are expected.

    Arrays are by cluster, job and then length or slot. ``cost`` is what one CPU costs in each slot
    of start, averaged over the run, in any unit; infinite where the job may not start. Each job has
    a start that is finite, on one of the clusters.
    """

    cpus: Floats
    lengths: Floats
    cost: Floats

    def __post_init__(self) -> None:
        if not (self.cpus.shape == self.lengths.shape[:2] == self.cost.shape[:2]):
            raise ValueError("a demand has as many rows of CPUs as of lengths and of costs")
        if self.cost.size and not np.isfinite(self.cost).any(axis=(0, 2)).all():
            raise ValueError("a job that may start at no time asks for nothing")


def clearing_prices(
    lengths: Lengths,
    demand: Demand,
    free: Floats,
    before: Floats | None = None,
    rounds: int = ROUNDS,
) -> Floats:
    """The price of a CPU by cluster and slot, in the unit of the costs; 0 where all have room.

    ``free`` are the CPUs that are left by cluster and slot. ``before`` are prices to begin with, as
    those of the last plan: the closer they are, the better is the answer after as many ``rounds``.
    """
    price = np.zeros_like(free) if before is None else before.copy()
    if not demand.cpus.size:
        return np.zeros_like(free)
    spread = float(np.ptp(demand.cost[np.isfinite(demand.cost)])) or 1.0
    size = np.maximum(1.0, free.max(axis=1, keepdims=True))
    by_cpu_slot = lengths.per_slot(demand.lengths)
    shares = _shares_of_work(lengths, demand)
    mean = np.zeros_like(free)
    settling = rounds // 2
    for number in range(rounds):
        worth = np.array([paid(lengths, one) for one in price])
        cost = (demand.cost + by_cpu_slot @ worth) * shares
        chosen = np.exp((cost.min(axis=(0, 2), keepdims=True) - cost) / (_SOFT * spread))
        chosen *= demand.cpus[:, :, None] / chosen.sum(axis=(0, 2))[None, :, None]
        starts = demand.lengths.transpose(0, 2, 1) @ chosen
        held = np.array([lengths.held(one) for one in starts])
        step = _STEP * spread / (1 + _COOLING * number)
        price = np.maximum(0.0, price + step * (held - free) / size)
        if number >= settling:
            mean += price / (rounds - settling)
    return mean


def _shares_of_work(lengths: Lengths, demand: Demand) -> Floats:
    """By how much a job's CPU slots on each cluster exceed those where it has the fewest.

    What it costs per CPU slot is to be compared between clusters as what it costs in all.
    """
    work = demand.cpus * (demand.lengths @ lengths.slots)
    allowed = np.isfinite(demand.cost).any(axis=2)
    least = np.where(allowed, work, np.inf).min(axis=0)
    shares: Floats = np.where(allowed, work / np.maximum(least, 1e-9), 1.0)[:, :, None]
    return shares


def paid(lengths: Lengths, price: Floats) -> Floats:
    """What a CPU costs by length and slot of start.

    Beyond the horizon a CPU is free of charge: nothing is planned there yet.
    """
    return lengths.windows(np.concatenate((price, np.zeros(lengths.reach - len(price)))))
