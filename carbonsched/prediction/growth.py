"""Trainings whose epochs grow steadily: images or sequences that get larger, layers that thaw.

Load of a shared machine wanders both ways; what grows by about as much with every epoch is the
training's own doing, and may go on to its end or stop at any time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import NamedTuple

from carbonsched.prediction.outlook import Normal

_FEWEST_STEPS = 4
_STEADY = 2.5
"""So many times as large as their standard deviation the steps are on average."""
_NOTABLE = 0.02  # of an epoch
_LARGEST = 4.0
_GOES_ON = 0.5
"""How much of what growing on to the end adds is expected."""
_DOUBT = 0.05


class Growth(NamedTuple):
    """The newest epoch and what each adds, in usual epochs."""

    level: float
    step: float


def growth(bodies: Sequence[float]) -> Growth | None:
    """The steady growth of epochs that follow each other; ``None`` without one."""
    steps = [after - before for before, after in pairwise(bodies)]
    if len(steps) < _FEWEST_STEPS or min(steps) <= 0:
        return None
    mean = fmean(steps)
    if mean < max(_NOTABLE, _STEADY * stdev(steps)):
        return None
    return Growth(bodies[-1], mean)


def grown(found: Growth, left: int, tail: float) -> tuple[float, list[Normal]]:
    """The sum of ``left`` more epochs: what is expected, and from no more growth to all of it.

    ``tail`` is what each has on top that does not grow.
    """
    flat = left * found.level
    most = found.level * _LARGEST
    full = sum(min(most, found.level + found.step * more) for more in range(1, left + 1))
    middle, half = (flat + full) / 2, (full - flat) / 2
    spread = math.hypot(half / math.sqrt(3), _DOUBT * flat)  # as if any end were as likely
    tails = left * tail
    return tails + flat + _GOES_ON * (full - flat), [Normal(1.0, tails + middle, spread)]
