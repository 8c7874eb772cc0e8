"""How long something may take: not one number but possible lengths, each with a weight."""

from __future__ import annotations

from bisect import bisect_left
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

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.seconds, self.weights))
