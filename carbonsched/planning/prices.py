"""What a node costs in each slot, so that no more is asked for than there is.

The plan that emits least is a linear program: x(j, t) is the share of job j that starts in slot t,

    minimise   sum c(j, t) x(j, t)
    such that  sum over t of x(j, t) = 1                    for each job
               sum of nodes held in slot t <= free(t)       for each slot

With a price on each slot's capacity (its Lagrange multiplier) it falls apart: each job takes the
start at which its own emissions and the nodes it holds cost least. A price goes up while more is
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
    """What competes for a cluster's nodes; a row for each job, or for jobs that are expected.

    ``cost`` is what one node costs in each slot of start, averaged over the run, in any unit;
    infinite where it may not start. Each row has a start that is finite.
    """

    nodes: Floats
    lengths: Floats
    cost: Floats

    def __post_init__(self) -> None:
        if not (len(self.nodes) == len(self.lengths) == len(self.cost)):
            raise ValueError("a demand has as many rows of nodes as of lengths and of costs")
        if len(self.cost) and not np.isfinite(self.cost).any(axis=1).all():
            raise ValueError("a job that may start at no time asks for nothing")


def clearing_prices(
    lengths: Lengths,
    demand: Demand,
    free: Floats,
    before: Floats | None = None,
    rounds: int = ROUNDS,
) -> Floats:
    """The price of a node by slot, in the unit of the costs; 0 where there is room for all.

    ``free`` are the nodes that are left in each slot. ``before`` are prices to begin with, as those
    of the last plan: the closer they are, the better is the answer after as many ``rounds``.
    """
    price = np.zeros(lengths.horizon) if before is None else before.copy()
    if not len(demand.nodes):
        return np.zeros(lengths.horizon)
    finite = demand.cost[np.isfinite(demand.cost)]
    spread = float(np.ptp(finite)) or 1.0
    size = max(1.0, float(free.max()))
    by_node_slot = lengths.per_slot(demand.lengths)
    mean = np.zeros(lengths.horizon)
    settling = rounds // 2
    for number in range(rounds):
        cost = demand.cost + by_node_slot @ paid(lengths, price)
        chosen = np.exp((cost.min(axis=1, keepdims=True) - cost) / (_SOFT * spread))
        chosen *= (demand.nodes / chosen.sum(axis=1))[:, None]
        held = lengths.held(demand.lengths.T @ chosen)
        step = _STEP * spread / (1 + _COOLING * number)
        price = np.maximum(0.0, price + step * (held - free) / size)
        if number >= settling:
            mean += price / (rounds - settling)
    return mean


def paid(lengths: Lengths, price: Floats) -> Floats:
    """What a node costs by length and slot of start.

    Beyond the horizon a node is free of charge: nothing is planned there yet.
    """
    return lengths.windows(np.concatenate((price, np.zeros(lengths.reach - len(price)))))
