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

_NORMAL_95 = 1.6448536269514722
# Student's t, 95 % quantile (one side), for 1 to 30 degrees of freedom.
_T_95 = (
    *(6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812),
    *(1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725),
    *(1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697),
)


def t_quantile_95(degrees_of_freedom: int) -> float:
    """The one-sided 95 % quantile: five per cent lie above it, as many below its negative."""
    if degrees_of_freedom < 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    if degrees_of_freedom <= len(_T_95):
        return _T_95[degrees_of_freedom - 1]
    # The first term of the Cornish-Fisher expansion; off by less than 0.001 from 31 on.
    return _NORMAL_95 + (_NORMAL_95**3 + _NORMAL_95) / (4 * degrees_of_freedom)


@dataclass(frozen=True, slots=True)
class Prior:
    """What spread to expect before anything is seen, and how many observations that is worth."""

    sd: float
    weight: int


def pooled_half_width(values: Sequence[float], prior: Prior) -> tuple[float, float]:
    """``(t x s, s)`` of one more observation, before the factor for what is to be predicted."""
    seen = len(values) - 1
    mean = fmean(values)
    squares = sum((value - mean) ** 2 for value in values)
    freedom = prior.weight + seen
    sd = math.sqrt((prior.weight * prior.sd**2 + squares) / freedom)
    return t_quantile_95(freedom) * sd, sd
