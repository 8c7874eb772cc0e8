"""What no epoch shows, and what earlier logs say of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from carbonsched.prediction.outlook import Normal, moments

_DRIFT = 0.025  # of the remaining epochs' mean, where all of them remain
_HEAVIER = (0.23, 0.35, 0.3)
"""Something heavier later on that nothing showed: its chance, mean and deviation."""
_LIGHTER = {"seconds": (0.2, -0.25, 0.18), "joules": (0.2, -0.2, 0.15)}
"""A first epoch that was slow throughout, or a faster machine later on."""
_SLOWER = (0.07, -0.6, 0.2)
"""A first epoch that took several times as long, where no parts of it would show that."""
_PAST_SD = 0.12  # of what earlier logs tell of this model's error, before any is seen
_RUN_SD = 0.12  # between runs of the same training on shared machines
_RUN_WEIGHT = 2


def doubted(
    ahead: list[Normal], what: str, seen: int, left: int, earlier: int, *, blind: bool
) -> list[Normal]:
    """The same with what no epoch shows: drift, something heavier later, a slow first epoch.

    ``blind`` is a first epoch alone and without parts.
    """
    share = left / (left + seen)
    mean, variance = moments(ahead)
    drift = _DRIFT * math.sqrt(share)
    unseen = 1 / (1 + 2 * earlier)
    up, more, more_sd = _HEAVIER
    down, less, less_sd = _LIGHTER[what]
    much, least, least_sd = _SLOWER
    much *= unseen * share if blind else 0.0
    up *= unseen * share
    down *= unseen * share / seen
    usual = [Normal(w * (1 - up - down - much), m, math.hypot(s, drift * m)) for w, m, s in ahead]
    return [
        *usual,
        Normal(up, mean * (1 + more), math.sqrt(variance + (more_sd * mean) ** 2)),
        Normal(down, mean * (1 + less), math.sqrt(variance + (less_sd * mean) ** 2)),
        Normal(much, mean * (1 + least), math.sqrt(variance + (least_sd * mean) ** 2)),
    ]


def correction(errors: Sequence[float]) -> tuple[float, float]:
    """The factor that earlier logs tell, and how unsure it is."""
    if not errors:
        return 1.0, 0.0
    count = len(errors)
    middle = fmean(errors)
    squares = sum((error - middle) ** 2 for error in errors)
    variance = (_RUN_WEIGHT * _RUN_SD**2 + squares) / (_RUN_WEIGHT + count - 1)
    shrunk = sum(errors) / (count + variance / _PAST_SD**2)
    return math.exp(shrunk), math.sqrt(variance * (1 + 1 / count))
