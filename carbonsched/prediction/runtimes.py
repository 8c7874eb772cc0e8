"""How long a job may run: not one number but the run times of those like it, with weights."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from carbonsched.model.spread import Spread

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
        longer = bisect_right(whole.seconds, elapsed_s)
        if sum(whole.weights[longer:]) < _LEAST_WEIGHT:
            # Longer than nearly all before it. Of run times that are spread by factors, as these
            # are, what is left is as likely in each factor up to the request.
            first, last = elapsed_s * 1.02 + 1, max(requested_s, elapsed_s * 1.03 + 2)
            later = (first * (last / first) ** share for share in _SHARES)
            return Spread(tuple(at_s - elapsed_s for at_s in later), (1.0,) * len(_SHARES))
        left = tuple(length_s - elapsed_s for length_s in whole.seconds[longer:])
        return Spread(left, whole.weights[longer:])

    def _made(self, keys: tuple[Hashable, ...], requested_s: int) -> Spread:
        seconds, weights = list(self._usual * requested_s), [_SHARE_WEIGHT] * len(_SHARES)
        for key, (newest, weight) in zip(keys, _LEVELS, strict=True):
            runs = self._runs[key]
            # A run of another request says which share of it was used.
            seconds += [ran_s * requested_s / asked_s for ran_s, asked_s in runs[-newest:]]
            weights += [weight] * len(runs[-newest:])
            if len(runs) >= _ENOUGH:
                break
        possible = sorted(
            (min(max(1.0, float(length_s)), float(requested_s)), weight)
            for length_s, weight in zip(seconds, weights, strict=True)
        )
        return Spread(tuple(one for one, _ in possible), tuple(weight for _, weight in possible))


def _keys(user: str, nodes: int, requested_s: int) -> tuple[Hashable, ...]:
    return (user, nodes, requested_s), (user, requested_s), (user,)
