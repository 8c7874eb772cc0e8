"""The level of a series of epochs, and cycles of heavier ones, as a mixture of hypotheses.

An epoch k is worth

    y(k) = level(k) + heavy x [k in the cycle] + first x [k is fresh] + s x noise
    level(k + 1) = level(k) + s x sqrt(q) x noise

A hypothesis is a cycle (none, every M-th epoch counted from 0 or from 1, or one epoch alone), a
spread s and a wandering q; each is filtered by Kalman's equations, and its weight is its prior
times its likelihood. Values are shares of a usual epoch. Fresh are epochs that a process begins
with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SPREADS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
_SPREAD_SD = 1.0  # of the logarithm of s about what is expected
_WANDERINGS = ((0.0, 0.45), (0.03, 0.2), (0.3, 0.2), (2.0, 0.15))
_LONGEST_WALK = 8  # epochs for which a level is taken to wander on
_COMMON = {2: 3.0, 3: 2.0, 4: 2.0, 5: 4.0, 10: 4.0, 20: 1.0}  # how usual a cycle is, others 0.5
_LONGEST_CYCLE = 25
_DECLARED_FROM_ONE = 0.1
_FROM_ONE = 0.25  # of cycles count from the first epoch, the others from the M-th
# A first epoch that was slow throughout: its excess and the deviation of that, and how usual.
_SLOW_FIRST = (((0.3, 0.5), 0.85), ((2.0, 4.0), 0.15))
_PLACES = 12  # where the one heavier epoch may be
_NEGLIGIBLE = 1e-4
WINDOW = 32
"""Of longer series the newest so many epochs count."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """Every ``every``-th epoch, the first of them being ``first``; ``every`` 0: that alone."""

    every: int
    first: int

    def has(self, epoch: int) -> bool:
        """Whether the epoch is one of the heavier."""
        if self.every == 0:
            return epoch == self.first
        return epoch >= self.first and (epoch - self.first) % self.every == 0

    def among(self, after: int, last: int) -> int:
        """How many are among the epochs from ``after + 1`` to ``last``."""
        if self.every == 0 or last < self.first:
            return 0
        before = max(0, (after - self.first) // self.every + 1) if after >= self.first else 0
        return (last - self.first) // self.every + 1 - before


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is expected of a series before it is seen: means and standard deviations.

    ``first`` is what epochs that are ``fresh`` have on top. ``cyclic`` is the chance of any heavier
    epochs, ``once`` that of one alone among those; ``slow`` is that of fresh epochs which were slow
    throughout.
    """

    level: tuple[float, float] = (1.0, 1.0)
    heavy: tuple[float, float] = (0.25, 0.25)
    first: tuple[float, float] = (0.0, 0.02)
    slow: float = 0.0
    fresh: frozenset[int] = frozenset()
    spread: float = 0.02
    cyclic: float = 0.35
    once: float = 0.3
    declared: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One hypothesis after the epochs seen, with the moments of level and heavy."""

    weight: float
    cycle: Cycle | None
    spread: float
    wander: float
    level: float
    heavy: float
    var_level: float
    var_heavy: float
    covariance: float

    def ahead(self, seen: int, last: int, least: float = -math.inf) -> tuple[float, float]:
        """Mean and variance of the sum of the epochs from ``seen + 1`` to ``last``.

        None of them is taken to be worth less than ``least``.
        """
        count = last - seen
        heavy = self.cycle.among(seen, last) if self.cycle else 0
        level = max(least, self.level)
        mean = count * level + heavy * max(least - level, self.heavy)
        variance = (
            count * count * self.var_level
            + 2 * count * heavy * self.covariance
            + heavy * heavy * self.var_heavy
            + count * self.spread**2
            + self.wander * self.spread**2 * count**2 * min(count, _LONGEST_WALK) / 3
        )
        return mean, max(0.0, variance)


def filtered(values: Sequence[float], numbers: Sequence[int], expected: Expected) -> list[State]:
    """The hypotheses that count, their weights adding up to 1."""
    values, numbers = values[-WINDOW:], numbers[-WINDOW:]
    found: list[tuple[float, State]] = []
    firsts = [(expected.first, 1.0)]
    if expected.slow and len(numbers) > 1 and not expected.fresh.isdisjoint(numbers):
        firsts = [(expected.first, 1 - expected.slow)]
        firsts += [(first, expected.slow * share) for first, share in _SLOW_FIRST]
    for cycle, prior in _cycles(numbers, expected):
        for spread in _SPREADS:
            apart = math.log(spread / expected.spread) / _SPREAD_SD
            for wander, share in _WANDERINGS if len(values) > 1 else ((0.1, 1.0),):
                log_weight = math.log(prior * share) - apart * apart / 2
                for first, chance in firsts:
                    likelihood, state = _run(
                        values, numbers, cycle, spread, wander, expected, first
                    )
                    found.append((log_weight + math.log(chance) + likelihood, state))
    top = max(weight for weight, _ in found)
    weights = [math.exp(weight - top) for weight, _ in found]
    kept = [
        (weight, state)
        for weight, (_, state) in zip(weights, found, strict=True)
        if weight > _NEGLIGIBLE
    ]
    total = sum(weight for weight, _ in kept)
    return [
        State(
            weight / total, one.cycle, one.spread, one.wander, one.level, one.heavy,
            one.var_level, one.var_heavy, one.covariance,
        )
        for weight, one in kept
    ]  # fmt: skip


def _cycles(numbers: Sequence[int], expected: Expected) -> Iterator[tuple[Cycle | None, float]]:
    """Cycles with their prior weights."""
    every, last = expected.declared, numbers[-1]
    if every is not None and every > 1:
        yield Cycle(every, every), 1 - _DECLARED_FROM_ONE
        yield Cycle(every, 1), _DECLARED_FROM_ONE
        return
    yield None, 1 - expected.cyclic
    if every is not None or len(numbers) == 1:
        return
    longest = min(_LONGEST_CYCLE, last)
    total = sum(_COMMON.get(one, 0.5) for one in range(2, _LONGEST_CYCLE + 1))
    for one in range(2, longest + 1):
        prior = (1 - expected.once) * expected.cyclic * _COMMON.get(one, 0.5) / total
        yield Cycle(one, one), prior * (1 - _FROM_ONE)
        yield Cycle(one, 1), prior * _FROM_ONE
    for one in numbers[-6:]:
        if one > 1:
            yield Cycle(0, one), expected.once * expected.cyclic / _PLACES


def _run(
    values: Sequence[float],
    numbers: Sequence[int],
    cycle: Cycle | None,
    spread: float,
    wander: float,
    expected: Expected,
    first: tuple[float, float],
) -> tuple[float, State]:
    """Kalman's filter over the epochs; the logarithm of the likelihood and the state."""
    level, heavy = expected.level[0], expected.heavy[0]
    a, b, c = expected.level[1] ** 2, expected.heavy[1] ** 2, 0.0  # variances and covariance
    noise, likelihood, previous = spread * spread, 0.0, numbers[0]
    for value, number in zip(values, numbers, strict=True):
        a += wander * noise * (number - previous)
        previous = number
        is_heavy = cycle is not None and cycle.has(number)
        shift, extra = first if number in expected.fresh else (0.0, 0.0)
        gap = value - shift - level - (heavy if is_heavy else 0.0)
        to_level, to_heavy = (a + c, c + b) if is_heavy else (a, c)
        total = (to_level + to_heavy if is_heavy else to_level) + noise + extra * extra
        likelihood -= (math.log(total) + gap * gap / total) / 2
        level += to_level / total * gap
        heavy += to_heavy / total * gap
        a -= to_level * to_level / total
        b -= to_heavy * to_heavy / total
        c -= to_level * to_heavy / total
    return likelihood, State(1.0, cycle, spread, wander, level, heavy, a, b, c)
