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
from dataclasses import dataclass, replace

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
_MOST_TOLD = 50.0
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

    ``first`` is what epochs that are ``fresh`` have on top; ``slow`` is the chance that they were
    slow throughout, and ``slow_first`` what they then have, with the share of each. ``cyclic`` is
    the chance of any heavier epochs, ``once`` that of one alone among those.
    """

    level: tuple[float, float] = (1.0, 1.0)
    heavy: tuple[float, float] = (0.25, 0.25)
    first: tuple[float, float] = (0.0, 0.02)
    slow: float = 0.0
    slow_first: tuple[tuple[tuple[float, float], float], ...] = _SLOW_FIRST
    fresh: frozenset[int] = frozenset()
    spread: float = 0.02
    cyclic: float = 0.35
    once: float = 0.3
    declared: int | None = None

    def start(self) -> tuple[float, float, float, float, float]:
        """Level and heavy, their variances and covariance, before anything is seen."""
        return self.level[0], self.heavy[0], self.level[1] ** 2, self.heavy[1] ** 2, 0.0


@dataclass(frozen=True, slots=True)
class State:
    """One hypothesis after the epochs seen, with the moments of level and heavy.

    ``slow`` says that fresh epochs were slow throughout.
    """

    weight: float
    cycle: Cycle | None
    slow: bool
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


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One before it is weighed against the others; prior and likelihood are logarithms."""

    prior: float
    likelihood: float
    state: State

    @property
    def weight(self) -> float:
        """The logarithm of prior times likelihood."""
        return self.prior + self.likelihood


def filtered(
    values: Sequence[float], numbers: Sequence[int], expected: Expected
) -> list[Hypothesis]:
    """All hypotheses, not yet weighed."""
    values, numbers = values[-WINDOW:], numbers[-WINDOW:]
    found: list[Hypothesis] = []
    firsts = [(expected.first, 1.0)]
    if expected.slow and len(numbers) > 1 and not expected.fresh.isdisjoint(numbers):
        firsts = [(expected.first, 1 - expected.slow)]
        firsts += [(first, expected.slow * share) for first, share in expected.slow_first]
    for cycle, prior in _cycles(numbers, expected):
        for spread in _SPREADS:
            apart = math.log(spread / expected.spread) / _SPREAD_SD
            for wander, share in _WANDERINGS if len(values) > 1 else ((0.1, 1.0),):
                log_weight = math.log(prior * share) - apart * apart / 2
                for index, (first, chance) in enumerate(firsts):
                    start = State(1.0, cycle, index > 0, spread, wander, *expected.start())
                    likelihood, state = _run(values, numbers, start, expected.fresh, first)
                    found.append(Hypothesis(log_weight + math.log(chance), likelihood, state))
    return found


def weighed(hypotheses: Sequence[Hypothesis], slow_hint: float = 0.0) -> list[State]:
    """The hypotheses that count, their weights adding up to 1.

    ``slow_hint`` is the logarithm of how much likelier something else makes slow fresh epochs.
    """
    if not hypotheses:
        return []
    weights = [one.weight + (slow_hint if one.state.slow else 0.0) for one in hypotheses]
    top = max(weights)
    shares = [math.exp(weight - top) for weight in weights]
    kept = [
        (share, one.state)
        for share, one in zip(shares, hypotheses, strict=True)
        if share > _NEGLIGIBLE
    ]
    total = sum(share for share, _ in kept)
    return [replace(state, weight=share / total) for share, state in kept]


def slow_hint(hypotheses: Sequence[Hypothesis]) -> float:
    """What a series that may or may not show it tells in favour of slow fresh epochs.

    With L their likelihood over that of usual ones it is the logarithm of (1 + L) / 2, as such
    epochs may be unlike others in this too, or not; not below 0, as being alike tells nothing.
    """
    slow = [one for one in hypotheses if one.state.slow]
    usual = [one for one in hypotheses if not one.state.slow]
    if not slow:
        return 0.0
    ratio = min(_MOST_TOLD, _likelihood(slow) - _likelihood(usual))
    return max(0.0, math.log1p(math.exp(ratio)) - math.log(2))


def _likelihood(hypotheses: Sequence[Hypothesis]) -> float:
    """The logarithm of that of any of them, by their priors."""
    return _log_sum([one.weight for one in hypotheses]) - _log_sum(
        [one.prior for one in hypotheses]
    )


def _log_sum(logarithms: Sequence[float]) -> float:
    top = max(logarithms)
    return top + math.log(sum(math.exp(one - top) for one in logarithms))


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
    start: State,
    fresh: frozenset[int],
    first: tuple[float, float],
) -> tuple[float, State]:
    """Kalman's filter over the epochs; the logarithm of the likelihood and the state."""
    level, heavy, cycle = start.level, start.heavy, start.cycle
    a, b, c = start.var_level, start.var_heavy, start.covariance
    noise, likelihood, previous = start.spread**2, 0.0, numbers[0]
    for value, number in zip(values, numbers, strict=True):
        a += start.wander * noise * (number - previous)
        previous = number
        is_heavy = cycle is not None and cycle.has(number)
        shift, extra = first if number in fresh else (0.0, 0.0)
        gap = value - shift - level - (heavy if is_heavy else 0.0)
        to_level, to_heavy = (a + c, c + b) if is_heavy else (a, c)
        total = (to_level + to_heavy if is_heavy else to_level) + noise + extra * extra
        likelihood -= (math.log(total) + gap * gap / total) / 2
        level += to_level / total * gap
        heavy += to_heavy / total * gap
        a -= to_level * to_level / total
        b -= to_heavy * to_heavy / total
        c -= to_level * to_heavy / total
    end = State(1.0, cycle, start.slow, start.spread, start.wander, level, heavy, a, b, c)
    return likelihood, end
