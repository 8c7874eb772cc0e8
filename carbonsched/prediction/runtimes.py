"""How long a job may run: not one number but the run times of those like it, with weights."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carbonsched.model.spread import Spread

Floats = npt.NDArray[np.float64]
_Points = list[tuple[float, float]]
"""Seconds, each with its weight."""

_LEVELS = ((12, 3.0), (8, 1.0), (6, 0.5))
"""Newest runs and their weight: of the same user, size and request; without size; of the user."""
_ENOUGH = 8
"""So many runs of one level say all: those of the wider levels are left out."""
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
_SHARE_WEIGHT = 0.1
_SHARE_WEIGHT_NEW = 0.5
"""Of each of five shares of the request, which first runs of a kind tell; while it has none."""
_NEWEST_SHARES = 200
_FEW_SHARES = 10
_LEAST_WEIGHT = 0.3
_TELLS_AFTER_S = 60
"""A run that has only just begun says nothing of how long it takes."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that has not ended: it takes longer than ``elapsed_s``."""

    user: str
    nodes: int
    requested_s: int
    elapsed_s: int


class RunTimes:
    """Learns from runs that have ended, and from those that go on.

    Of a kind of job that has never run, everybody's *first* runs of a kind say more than all runs
    do: most of those are repeated and short. Larger ones count more, by the square root of node
    seconds asked for. Runs that go on count with what is expected of them given how long they have
    run: those that have ended are the short ones of their kind.
    """

    def __init__(self) -> None:
        self._runs: dict[Hashable, list[tuple[int, int]]] = defaultdict(list)
        self._shares: list[tuple[float, float]] = []
        self._usual: Floats = np.array(_SHARES)
        self._ended: dict[Hashable, tuple[int, Spread]] = {}
        self._going_on: dict[Hashable, list[Unfinished]] = {}
        self._with_those: dict[Hashable, Spread] = {}

    def ended(self, user: str, nodes: int, requested_s: int, runtime_s: int) -> None:
        """One that ran to its end."""
        keys = _keys(user, nodes, requested_s)
        if not self._runs[keys[0]]:
            self._first(runtime_s / requested_s, float(nodes * requested_s) ** 0.5)
        for key in keys:
            self._runs[key].append((runtime_s, requested_s))
        self._with_those.clear()

    def go_on(self, runs: Iterable[Unfinished]) -> None:
        """All that run at this time, in the order in which they began."""
        self._going_on = defaultdict(list)
        for run in runs:
            if run.elapsed_s >= _TELLS_AFTER_S:
                for key in _keys(run.user, run.nodes, run.requested_s):
                    self._going_on[key].append(run)
        self._with_those.clear()

    def of(self, user: str, nodes: int, requested_s: int) -> Spread:
        """What is expected of one that has not started; never beyond its request."""
        keys = _keys(user, nodes, requested_s)
        if keys[-1] not in self._going_on:
            return self._of_ended(keys, requested_s)
        known = self._with_those.get(keys[0])
        if known is None:
            known = self._with_those[keys[0]] = self._made(keys, requested_s, self._going_on)
        return known

    def left(self, user: str, nodes: int, requested_s: int, elapsed_s: int) -> Spread:
        """What is expected of one that has run for so long: how much longer it runs."""
        whole = self._of_ended(_keys(user, nodes, requested_s), requested_s)
        longer = bisect_right(whole.seconds, elapsed_s)
        if sum(whole.weights[longer:]) < _LEAST_WEIGHT:
            # Longer than nearly all before it. Of run times that are spread by factors, as these
            # are, what is left is as likely in each factor up to the request.
            first, last = elapsed_s * 1.02 + 1, max(requested_s, elapsed_s * 1.03 + 2)
            later = (first * (last / first) ** share for share in _SHARES)
            return Spread(tuple(at_s - elapsed_s for at_s in later), (1.0,) * len(_SHARES))
        left = tuple(length_s - elapsed_s for length_s in whole.seconds[longer:])
        return Spread(left, whole.weights[longer:])

    def _first(self, share: float, weight: float) -> None:
        """The first run of a kind used that share of its request."""
        self._shares = [*self._shares[1 - _NEWEST_SHARES :], (share, weight)]
        if len(self._shares) >= _FEW_SHARES:
            seen = Spread(*zip(*sorted(self._shares), strict=True))
            self._usual = np.array([seen.quantile_s(one) for one in _SHARES])

    def _of_ended(self, keys: tuple[Hashable, ...], requested_s: int) -> Spread:
        seen = len(self._runs[keys[-1]])
        known = self._ended.get(keys[0])
        if known is None or known[0] != seen:
            known = self._ended[keys[0]] = (seen, self._made(keys, requested_s, {}))
        return known[1]

    def _made(
        self,
        keys: tuple[Hashable, ...],
        requested_s: int,
        going_on: dict[Hashable, list[Unfinished]],
    ) -> Spread:
        weight = _SHARE_WEIGHT if self._runs[keys[0]] else _SHARE_WEIGHT_NEW
        points: _Points = [(share * requested_s, weight) for share in self._usual]
        for key, (newest, weight) in zip(keys, _LEVELS, strict=True):
            runs = self._runs[key]
            # A run of another request says which share of it was used.
            points += [(ran_s * requested_s / asked_s, weight) for ran_s, asked_s in runs[-newest:]]
            for one in going_on.get(key, ())[-newest:]:
                points += self._unfinished(one, requested_s / one.requested_s, weight)
            if len(runs) >= _ENOUGH:
                break
        possible = sorted(
            (min(max(1.0, float(length_s)), float(requested_s)), weight)
            for length_s, weight in points
        )
        return Spread(*zip(*possible, strict=True))

    def _unfinished(self, one: Unfinished, scale: float, weight: float) -> _Points:
        """What one that goes on may take in all, together of the weight of one run."""
        left = self.left(one.user, one.nodes, one.requested_s, one.elapsed_s)
        each = weight / sum(left.weights)
        return [
            ((one.elapsed_s + left_s) * scale, each * share)
            for left_s, share in zip(left.seconds, left.weights, strict=True)
        ]


def _keys(user: str, nodes: int, requested_s: int) -> tuple[Hashable, ...]:
    return (user, nodes, requested_s), (user, requested_s), (user,)
