"""Spread from few observations: Student's t with a prior that counts as some observations.

With k observations alone the spread is unknown for k = 1 and absurd for k = 2. So the variance is
pooled with a prior variance that weighs as much as ``weight`` degrees of freedom, which is the
posterior predictive of a normal sample with a scaled-inverse-chi-square prior on its variance
(Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.3). One formula serves every k >= 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

MOST, HALF = 0.9, 0.5
"""The shares of outcomes that the two intervals of a prediction should hold."""
_NORMAL_75, _NORMAL_95 = 0.6744897501960817, 1.6448536269514722
# Student's t for 1 to 30 degrees of freedom: its 75 % quantile (one side), and its 95 % quantile.
_T_75 = (
    *(1.0000, 0.8165, 0.7649, 0.7407, 0.7267, 0.7176, 0.7111, 0.7064, 0.7027, 0.6998),
    *(0.6974, 0.6955, 0.6938, 0.6924, 0.6912, 0.6901, 0.6892, 0.6884, 0.6876, 0.6870),
    *(0.6864, 0.6858, 0.6853, 0.6848, 0.6844, 0.6840, 0.6837, 0.6834, 0.6830, 0.6828),
)
_T_95 = (
    *(6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812),
    *(1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725),
    *(1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697),
)
_UPPER = {HALF: (_NORMAL_75, _T_75), MOST: (_NORMAL_95, _T_95)}


def t_half_width(degrees_of_freedom: int, share: float = MOST) -> float:
    """Half of the interval about 0 that holds this share: as much lies above it as below it.

    Raises:
        ValueError: no degree of freedom, or a share that is neither ``MOST`` nor ``HALF``.
    """
    if degrees_of_freedom < 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    if share not in _UPPER:
        raise ValueError(f"no quantiles are known of an interval that holds {share}")
    normal, table = _UPPER[share]
    if degrees_of_freedom <= len(table):
        return table[degrees_of_freedom - 1]
    # The first term of the Cornish-Fisher expansion; off by less than 0.001 from 31 on.
    return normal + (normal**3 + normal) / (4 * degrees_of_freedom)


@dataclass(frozen=True, slots=True)
class Prior:
    """What spread to expect before anything is seen, and how many observations that is worth."""

    sd: float
    weight: int


def pooled_half_width(values: Sequence[float], prior: Prior, share: float = MOST) -> float:
    """``t x s`` of one more observation, before the factor for what is to be predicted.

    Both intervals are of the same t: only its quantile differs with the share that is to be held.
    """
    seen = len(values) - 1
    mean = fmean(values)
    squares = sum((value - mean) ** 2 for value in values)
    freedom = prior.weight + seen
    sd = math.sqrt((prior.weight * prior.sd**2 + squares) / freedom)
    return t_half_width(freedom, share) * sd
