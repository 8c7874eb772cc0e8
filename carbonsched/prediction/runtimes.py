"""How long a job may run: not one number but the run times of those like it, with weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_LEVELS = ((12, 3.0), (8, 1.0), (6, 0.5))
"""Newest runs and their weight: of the same user, size and request; without size; of the user."""
_ENOUGH = 8
"""So many runs of one level say all: those of the wider levels are left out."""
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
_SHARE_WEIGHT = 0.25
"""Of each of five shares of the request, which everybody's runs tell."""
_NEWEST_SHARES = 200
_FEW_SHARES = 20
_LEAST_WEIGHT = 0.3


@dataclass(frozen=True, slots=True)
class Spread:
    """Possible seconds in rising order, and how much each counts."""

    seconds: Floats
    weights: Floats

    @property
    def mean_s(self) -> float:
        """The expected length."""
        return float(np.average(self.seconds, weights=self.weights))

    def quantile_s(self, share: float) -> float:
        """The length that a run exceeds with a probability of ``1 - share``."""
        upto = np.cumsum(self.weights)
        return float(np.interp(share, (upto - self.weights / 2) / upto[-1], self.seconds))


class RunTimes:
    """Learns from runs that have ended."""

    def __init__(self) -> None:
        self._runs: dict[Hashable, list[tuple[int, int]]] = defaultdict(list)
        self._shares: list[float] = []
        self._usual: Floats = np.array(_SHARES)
        self._known: dict[Hashable, tuple[int, Spread]] = {}

    def ended(self, user: str, nodes: int, requested_s: int, runtime_s: int) -> None:
        """One that ran to its end."""
        for key in _keys(user, nodes, requested_s):
            self._runs[key].append((runtime_s, requested_s))
        self._shares.append(runtime_s / requested_s)
        if len(self._shares) % _FEW_SHARES == 0:
            self._usual = np.quantile(self._shares[-_NEWEST_SHARES:], _SHARES)

    def of(self, user: str, nodes: int, requested_s: int) -> Spread:
        """What is expected of one that has not started; never beyond its request."""
        keys = _keys(user, nodes, requested_s)
        seen = len(self._runs[keys[-1]])
        known = self._known.get(keys[0])
        if known is None or known[0] != seen:
            known = self._known[keys[0]] = (seen, self._made(keys, requested_s))
        return known[1]

    def left(self, user: str, nodes: int, requested_s: int, elapsed_s: int) -> Spread:
        """What is expected of one that has run for so long: how much longer it runs."""
        whole = self.of(user, nodes, requested_s)
        longer = whole.seconds > elapsed_s
        if whole.weights[longer].sum() < _LEAST_WEIGHT:
            # Longer than nearly all before it. Of run times that are spread by factors, as these
            # are, what is left is as likely in each factor up to the request.
            first, last = elapsed_s * 1.02 + 1, max(requested_s, elapsed_s * 1.03 + 2)
            seconds = first * (last / first) ** np.array(_SHARES) - elapsed_s
            return Spread(seconds, np.ones(len(_SHARES)))
        return Spread(whole.seconds[longer] - elapsed_s, whole.weights[longer])

    def _made(self, keys: tuple[Hashable, ...], requested_s: int) -> Spread:
        seconds, weights = list(self._usual * requested_s), [_SHARE_WEIGHT] * len(_SHARES)
        for key, (newest, weight) in zip(keys, _LEVELS, strict=True):
            runs = self._runs[key]
            # A run of another request says which share of it was used.
            seconds += [ran_s * requested_s / asked_s for ran_s, asked_s in runs[-newest:]]
            weights += [weight] * len(runs[-newest:])
            if len(runs) >= _ENOUGH:
                break
        order = np.argsort(seconds, kind="stable")
        rising = np.clip(np.array(seconds)[order], 1, requested_s)
        return Spread(rising, np.array(weights)[order])


def _keys(user: str, nodes: int, requested_s: int) -> tuple[Hashable, ...]:
    return (user, nodes, requested_s), (user, requested_s), (user,)
