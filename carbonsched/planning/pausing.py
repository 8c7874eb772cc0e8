"""Running a job that can be checkpointed in pieces, in the hours that cost least.

Of the slots in which it may run, it takes as many of the cheapest as its work needs: a lower bound
of what any pieces can cost, and near it where costs are smooth. Each interruption costs work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from carbonsched.planning.lengths import Floats

_LEAST_SHARE = 0.02
"""What pieces must save of the cost of running in one go, beside the site's minimum."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Runs of slots ``[first, end)``, in order, and milligrams saved against one go."""

    runs: tuple[tuple[int, int], ...]
    saved_mg: float


def pieces(cost: Floats, work_slots: float, window_slots: float, stop_slots: float) -> Pieces:
    """The cheapest pieces of so much work within the first ``window_slots``, against slot 0 on.

    ``cost`` is in milligrams by slot; ``stop_slots`` the extra work of each interruption.
    """
    reach = min(len(cost), math.floor(window_slots))
    need = math.ceil(work_slots)
    if need < 1 or reach <= need:
        return Pieces(((0, need),), 0.0)
    order = np.argsort(cost[:reach], kind="stable")
    chosen = np.zeros(reach + 2, dtype=np.int8)
    chosen[1 + order[:need]] = 1
    steps = np.diff(chosen)
    runs = tuple(
        (int(first), int(end))
        for first, end in zip(np.flatnonzero(steps > 0), np.flatnonzero(steps < 0), strict=True)
    )
    share = work_slots / need
    threshold = float(cost[order[need - 1]])
    split = float(cost[order[:need]].sum()) * share
    split += (len(runs) - (runs[0][0] == 0)) * stop_slots * threshold
    whole = float(cost[:need].sum()) * share
    return Pieces(runs, whole - split)


def worth_it(saved_mg: float, whole_mg: float, needed_mg: float) -> bool:
    """Whether pieces save enough."""
    return saved_mg > max(needed_mg, _LEAST_SHARE * whole_mg)
