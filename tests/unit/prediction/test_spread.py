from __future__ import annotations

import math
import random

import pytest

from carbonsched.prediction.spread import HALF, MOST, Prior, pooled_half_width, t_half_width


def upper_tail(quantile: float, freedom: int) -> float:
    """The area of Student's density above the quantile, by Simpson's rule on x = tan(u)."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
    scale /= math.sqrt(freedom * math.pi)

    def density(angle: float) -> float:
        value, slope = math.tan(angle), 1 / math.cos(angle) ** 2
        return scale * (1 + value**2 / freedom) ** (-(freedom + 1) / 2) * slope

    low, high, parts = math.atan(quantile), math.pi / 2 - 1e-6, 4000
    step = (high - low) / parts
    inner = sum((4 if i % 2 else 2) * density(low + i * step) for i in range(1, parts))
    return (density(low) + inner + density(high)) * step / 3


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 9, 17, 30, 31, 60, 500])
@pytest.mark.parametrize("share", [HALF, MOST])
def test_as_much_lies_above_as_the_share_leaves(freedom, share):
    left = (1 - share) / 2
    assert upper_tail(t_half_width(freedom, share), freedom) == pytest.approx(left, abs=2e-4)


def test_no_degree_of_freedom_has_no_quantile():
    with pytest.raises(ValueError, match="degree"):
        t_half_width(0)


def test_only_two_intervals_are_told():
    with pytest.raises(ValueError, match=r"holds 0\.8"):
        t_half_width(4, 0.8)


@pytest.mark.parametrize(("share", "least", "most"), [(MOST, 0.88, 0.96), (HALF, 0.46, 0.62)])
def test_the_interval_of_normal_values_holds_about_its_share(share, least, most):
    chance = random.Random(7)
    inside = total = 0
    for _ in range(3000):
        values = [chance.gauss(0, 1) for _ in range(4)]
        width = pooled_half_width(values[:3], Prior(sd=1.0, weight=4), share)
        total += 1
        inside += abs(values[3] - sum(values[:3]) / 3) <= width * math.sqrt(1 + 1 / 3)
    assert least <= inside / total <= most
