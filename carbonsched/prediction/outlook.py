"""Mixtures of normal distributions: their mean and their quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple


class Normal(NamedTuple):
    """One of a mixture, with its weight."""

    weight: float
    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A quantity with its 50 % and 90 % intervals, in order."""

    p05: float
    p25: float
    mean: float
    p75: float
    p95: float

    def times(self, factor: float) -> Estimate:
        """In another unit."""
        return Estimate(**{name: value * factor for name, value in asdict(self).items()})

    def plus(self, constant: float) -> Estimate:
        """All of it and a constant."""
        return Estimate(**{name: value + constant for name, value in asdict(self).items()})


def exactly(value: float) -> Estimate:
    """Without doubt."""
    return Estimate(p05=value, p25=value, mean=value, p75=value, p95=value)


def estimate(centre: float, mixture: Sequence[Normal], least: float) -> Estimate:
    """The quantiles of a mixture about a centre, all of them at least ``least``."""
    centre = max(least, centre)
    p05, p25, p75, p95 = (max(least, quantile(mixture, one)) for one in (0.05, 0.25, 0.75, 0.95))
    return Estimate(
        p05=min(p05, centre), p25=min(p25, centre), mean=centre,
        p75=max(p75, centre), p95=max(p95, centre),
    )  # fmt: skip


def quantile(mixture: Sequence[Normal], share: float) -> float:
    """Where the mixture's distribution function reaches ``share``, by bisection."""
    low = min(one.mean - 6 * one.sd for one in mixture)
    high = max(one.mean + 6 * one.sd for one in mixture)
    total = sum(one.weight for one in mixture)
    for _ in range(60):
        middle = (low + high) / 2
        if sum(one.weight * _below(middle, one) for one in mixture) < share * total:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def moments(mixture: Sequence[Normal]) -> tuple[float, float]:
    """Mean and variance of a mixture."""
    total = sum(one.weight for one in mixture)
    mean = sum(one.weight * one.mean for one in mixture) / total
    square = sum(one.weight * (one.sd**2 + (one.mean - mean) ** 2) for one in mixture) / total
    return mean, square


def _below(value: float, one: Normal) -> float:
    if one.sd <= 0:
        return 1.0 if value >= one.mean else 0.0
    return 0.5 * math.erfc((one.mean - value) / (one.sd * math.sqrt(2)))
