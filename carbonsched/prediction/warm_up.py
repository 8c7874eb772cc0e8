"""What a first epoch paid once, from its parts.

The parts are of equal numbers of steps, so in a steady training they are alike. The level is the
median of those from the middle on, without the last, which has validation. Parts at the beginning
that lie above it by more than chance are warm-up: compiling, first reads, clocks that rise. They
are taken to be at the level in later epochs. A small excess of one part only may be the start of
data workers, which comes back in every epoch, so of that a part is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

FEWEST_PARTS = 4
_LEAST = 0.05  # of a part: less is not called warm-up
_CERTAIN = 3.0  # deviations from the level, as often by chance as once in hundreds
_MAD = 1.4826  # a normal sample's standard deviation over its median absolute deviation
_CHANCE = 3.0  # in deviations of a part
_KEPT = 0.009  # of an epoch
_KEPT_OF_WORKERS = 0.03  # of an epoch
_MOST_OF_WORKERS = 0.1  # of an epoch: one part's excess beyond it is no start of workers


@dataclass(frozen=True, slots=True)
class Steady:
    """An epoch's parts apart: ``body`` as in later epochs, ``tail`` what follows its last step.

    ``once`` is what was paid once, ``relative_sd`` the deviation of the body's parts.
    """

    body: float
    tail: float
    once: float
    relative_sd: float


def warm_parts(times: Sequence[float], energies: Sequence[float]) -> int:
    """How many parts at an epoch's beginning are warm-up, by time or by energy."""
    return max(_above(times), _above(energies))


def steady(values: Sequence[float], warm: int) -> Steady:
    """Divide an epoch with so many parts of warm-up; ``values`` are of at least four parts."""
    usual = values[warm:-1]
    level = fmean(usual)
    excess = sum(values[:warm]) - warm * level
    spread = _spread(usual)
    noise = max(spread, _rises(values[:warm]))
    once = _paid_once(excess, warm, noise, sum(values) - excess)
    tail = values[-1] - level
    return Steady(
        body=sum(values) - tail - once,
        tail=tail,
        once=once,
        relative_sd=spread / level if level > 0 else 0.0,
    )


def _paid_once(excess: float, warm: int, noise: float, epoch: float) -> float:
    """What of the excess is taken to be paid once.

    It is shrunk by what chance would make of so many parts, which are slow and fast together. A
    little is kept, as much as half of a small excess: it may come back, and a first epoch shows
    less of what later ones may have on top than of what they will not.
    """
    if not warm or not excess:
        return 0.0
    chance = min(1.0, (_CHANCE * noise * warm / excess) ** 2)
    sure = (1 - chance) * excess
    workers = warm == 1 and abs(sure) < _MOST_OF_WORKERS * epoch
    kept = (_KEPT_OF_WORKERS if workers else _KEPT) * epoch
    return sure - math.copysign(min(abs(sure) / 2, kept), sure)


def _above(values: Sequence[float]) -> int:
    late = values[len(values) // 2 : -1]
    level = median(late)
    spread = _MAD * median(abs(value - level) for value in late)
    bound = level + max(_LEAST * level, _CERTAIN * spread)
    count = 0
    while count < len(values) // 2 and values[count] > bound:
        count += 1
    return count


def _rises(values: Sequence[float]) -> float:
    """How irregular parts of warm-up are: the root mean square of the steps from one to the next.

    Only steps upwards count, as warm-up goes down; load of a shared machine goes both ways.
    """
    steps = [max(0.0, after - before) for before, after in pairwise(values)]
    return math.sqrt(fmean(step * step for step in steps)) if steps else 0.0


def _spread(values: Sequence[float]) -> float:
    mean = fmean(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))
