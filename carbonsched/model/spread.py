"""How long something may take: not one number but possible lengths, each with a weight."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate


@dataclass(frozen=True)
class Spread:
    """Possible seconds in rising order, and how much each counts."""

    seconds: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds or len(self.seconds) != len(self.weights):
            raise ValueError("a spread has a weight for each of its lengths, at least one")

    @classmethod
    def exactly(cls, seconds: float) -> Spread:
        """A length that is known."""
        return cls((seconds,), (1.0,))

    @classmethod
    def mixture(cls, parts: Iterable[tuple[Spread, float]]) -> Spread:
        """A length that is one of these, by their weights."""
        pairs = sorted(
            (length_s, weight * share / sum(one.weights))
            for one, weight in parts
            for length_s, share in zip(one.seconds, one.weights, strict=True)
        )
        return cls(tuple(one for one, _ in pairs), tuple(weight for _, weight in pairs))

    def longer(self, by_s: float) -> Spread:
        """Each length with so many seconds on top."""
        return Spread(tuple(one + by_s for one in self.seconds), self.weights)

    def at_most(self, limit_s: float) -> Spread:
        """The same under a time limit: what would be longer ends there."""
        return Spread(tuple(min(one, float(limit_s)) for one in self.seconds), self.weights)

    @cached_property
    def mean_s(self) -> float:
        """The expected length."""
        pairs = zip(self.seconds, self.weights, strict=True)
        return sum(length_s * weight for length_s, weight in pairs) / sum(self.weights)

    def quantile_s(self, share: float) -> float:
        """The length that a run exceeds with a probability of ``1 - share``."""
        middles = self._middles
        above = bisect_left(middles, share)
        if above == 0:
            return self.seconds[0]
        if above == len(middles):
            return self.seconds[-1]
        below = above - 1
        part = (share - middles[below]) / (middles[above] - middles[below])
        return self.seconds[below] + part * (self.seconds[above] - self.seconds[below])

    @cached_property
    def _middles(self) -> tuple[float, ...]:
        upto = tuple(accumulate(self.weights))
        pairs = zip(upto, self.weights, strict=True)
        return tuple((until - weight / 2) / upto[-1] for until, weight in pairs)

    def condensed(self, points: int) -> Spread:
        """The same in at most so many points, with the same mean."""
        if len(self.seconds) <= points:
            return self
        total = sum(self.weights)
        sums: dict[int, tuple[float, float]] = {}
        upto = accumulate(self.weights)
        for seconds, weight, until in zip(self.seconds, self.weights, upto, strict=True):
            number = min(points - 1, int(points * (until - weight / 2) / total))
            before_s, before = sums.get(number, (0.0, 0.0))
            sums[number] = before_s + seconds * weight, before + weight
        return Spread(
            tuple(length_s / weight for length_s, weight in sums.values()),
            tuple(weight for _, weight in sums.values()),
        )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.seconds, self.weights))
