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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from carbonsched.prediction.cycles import Cycle, cycles

Real: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]

_SPREADS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
_SPREAD_SD = 1.0  # of the logarithm of s about what is expected
_WANDERINGS = ((0.0, 0.45), (0.03, 0.2), (0.3, 0.2), (2.0, 0.15))
_LONGEST_WALK = 8  # epochs for which a level is taken to wander on
# A first epoch that was slow throughout: its excess and the deviation of that, and how usual.
_SLOW_FIRST = (((0.3, 0.5), 0.85), ((2.0, 4.0), 0.15))
USUAL_HEAVY = (0.25, 0.25)
"""What heavier epochs have on top, of an epoch: mean and deviation."""
_NEGLIGIBLE = 1e-4
_MOST_TOLD = 50.0
WINDOW = 32
"""Of longer series the newest so many epochs count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is expected of a series before it is seen: means and standard deviations.

    ``first`` is what epochs that are ``fresh`` have on top; ``slow`` is the chance that they were
    slow throughout, and ``slow_first`` what they then have, with the share of each. ``cyclic`` is
    the chance of any heavier epochs, ``once`` that of one alone among those.
    """

    level: tuple[float, float] = (1.0, 1.0)
    heavy: tuple[float, float] = USUAL_HEAVY
    first: tuple[float, float] = (0.0, 0.02)
    slow: float = 0.0
    slow_first: tuple[tuple[tuple[float, float], float], ...] = _SLOW_FIRST
    fresh: frozenset[int] = frozenset()
    spread: float = 0.02
    cyclic: float = 0.35
    once: float = 0.3
    declared: int | None = None

    def firsts(self, numbers: Sequence[int]) -> list[tuple[float, float, float]]:
        """What fresh epochs may have on top: mean, deviation and chance, usual ones first."""
        if not self.slow or len(numbers) == 1 or self.fresh.isdisjoint(numbers):
            return [(*self.first, 1.0)]
        slow = [(*first, self.slow * share) for first, share in self.slow_first]
        return [(*self.first, 1 - self.slow), *slow]

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
class Hypotheses:
    """All of them, not yet weighed, an element each; weights are logarithms."""

    cycles: tuple[Cycle | None, ...]
    cycle: Whole
    slow: npt.NDArray[np.bool_]
    spread: Real
    wander: Real
    prior: Real
    likelihood: Real
    level: Real
    heavy: Real
    var_level: Real
    var_heavy: Real
    covariance: Real

    def weighed(self, slow_hint: float = 0.0) -> list[State]:
        """Those that count, their weights adding up to 1.

        ``slow_hint`` is the logarithm of how much likelier something else makes slow fresh epochs.
        """
        logarithms = self.prior + self.likelihood + slow_hint * self.slow
        shares = np.exp(logarithms - logarithms.max())
        kept = np.flatnonzero(shares > _NEGLIGIBLE)
        weights = shares[kept] / shares[kept].sum()
        return [self._state(int(one), float(w)) for one, w in zip(kept, weights, strict=True)]

    def slow_hint(self) -> float:
        """What a series that may or may not show it tells in favour of slow fresh epochs.

        With L their likelihood over that of usual ones it is the logarithm of (1 + L) / 2, as such
        epochs may be unlike others in this too, or not; not below 0, as being alike tells nothing.
        """
        if not self.slow.any():
            return 0.0
        ratio = self._likelihood(self.slow) - self._likelihood(~self.slow)
        return max(0.0, math.log1p(math.exp(min(_MOST_TOLD, ratio))) - math.log(2))

    def _likelihood(self, among: npt.NDArray[np.bool_]) -> float:
        """The logarithm of that of any of these, by their priors."""
        prior, likelihood = self.prior[among], self.likelihood[among]
        return _log_sum(prior + likelihood) - _log_sum(prior)

    def _state(self, one: int, weight: float) -> State:
        return State(
            weight, self.cycles[self.cycle[one]], bool(self.slow[one]),
            float(self.spread[one]), float(self.wander[one]),
            float(self.level[one]), float(self.heavy[one]),
            float(self.var_level[one]), float(self.var_heavy[one]), float(self.covariance[one]),
        )  # fmt: skip


def filtered(values: Sequence[float], numbers: Sequence[int], expected: Expected) -> Hypotheses:
    """All hypotheses after the epochs seen."""
    values, numbers = values[-WINDOW:], numbers[-WINDOW:]
    known = list(cycles(numbers, expected.declared, expected.cyclic, expected.once))
    firsts = np.array(expected.firsts(numbers))
    wanderings = np.array(_WANDERINGS if len(values) > 1 else ((0.1, 1.0),))
    counts = (len(known), len(_SPREADS), len(wanderings), len(firsts))
    cycle, spread_at, wander_at, first_at = (one.ravel() for one in np.indices(counts))
    spread, (wander, share) = np.take(_SPREADS, spread_at), wanderings[wander_at].T
    shift, extra, chance = firsts[first_at].T
    apart = np.log(spread / expected.spread) / _SPREAD_SD
    prior = np.log(np.array([one for _, one in known])[cycle] * share * chance) - apart**2 / 2
    heavy = np.array(
        [[one is not None and one.has(number) for number in numbers] for one, _ in known], float
    )
    fresh = np.array([number in expected.fresh for number in numbers], float)[:, None]
    likelihood, moments = _run(
        np.array(values),
        np.diff(numbers, prepend=numbers[0]),
        heavy[cycle].T,
        (spread**2, wander, fresh * shift, fresh * extra**2),
        expected.start(),
    )
    return Hypotheses(
        tuple(one for one, _ in known), cycle, first_at > 0, spread, wander, prior, likelihood,
        *moments,
    )  # fmt: skip


def _run(
    values: Real,
    steps: Whole,
    heavies: Real,
    parameters: tuple[Real, Real, Real, Real],
    start: tuple[float, ...],
) -> tuple[Real, tuple[Real, Real, Real, Real, Real]]:
    """Kalman's filter over the epochs, a row each, of all hypotheses at once.

    The logarithms of the likelihoods, and the moments of level and heavy in the end. ``parameters``
    are variance, wandering, and by epochs what fresh ones have on top and the variance of that.
    """
    noise, wander, shifts, extras = parameters
    level, heavy, a, b, c = (np.full(len(noise), one) for one in start)
    likelihood = np.zeros(len(noise))
    for value, step, is_heavy, shift, extra in zip(
        values, steps, heavies, shifts, extras, strict=True
    ):
        a = a + wander * noise * step
        gap = value - shift - level - heavy * is_heavy
        to_level, to_heavy = a + c * is_heavy, c + b * is_heavy
        total = to_level + to_heavy * is_heavy + noise + extra
        likelihood = likelihood - (np.log(total) + gap**2 / total) / 2
        level, heavy = level + to_level / total * gap, heavy + to_heavy / total * gap
        a = a - to_level**2 / total
        b = b - to_heavy**2 / total
        c = c - to_level * to_heavy / total
    return likelihood, (level, heavy, a, b, c)


def _log_sum(logarithms: Real) -> float:
    top = float(logarithms.max())
    return top + math.log(float(np.exp(logarithms - top).sum()))
