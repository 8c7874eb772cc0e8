from __future__ import annotations

import math
import random

import pytest

from carbonsched.prediction.spread import Prior, pooled_half_width, t_quantile_95


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
def test_five_per_cent_lie_above_the_quantile(freedom):
    assert upper_tail(t_quantile_95(freedom), freedom) == pytest.approx(0.05, abs=2e-4)


def test_no_degree_of_freedom_has_no_quantile():
    with pytest.raises(ValueError, match="degree"):
        t_quantile_95(0)


def test_the_interval_of_normal_values_holds_about_nine_in_ten():
    chance = random.Random(7)
    inside = total = 0
    for _ in range(3000):
        values = [chance.gauss(0, 1) for _ in range(4)]
        width, _ = pooled_half_width(values[:3], Prior(sd=1.0, weight=4))
        total += 1
        inside += abs(values[3] - sum(values[:3]) / 3) <= width * math.sqrt(1 + 1 / 3)
    assert 0.88 <= inside / total <= 0.96
