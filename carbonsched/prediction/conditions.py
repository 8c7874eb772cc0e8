"""How much longer an epoch takes, and how much more energy, under one condition than under another.

A condition is a kind of node and the power limit of its GPUs. Of each job (a user, a name, a number
of nodes and of CPUs) that ran under several, the median epoch of each counts:

    ratio(here, there) = exp(median over jobs of (log of its median there - log of its median here))

of time and of energy. Where a job did not run at a limit but at one below and one above on the same
kind of node, its logarithm is taken to be linear in the limit between the nearest two; beyond the
limits at which it ran nothing is known of it. One earlier job of the same user and name is enough,
of others it takes three. Jobs that ran at exactly both limits go before those between.

The ratio of one more job lies with 90 % within a factor of exp(w) either way, where

    w = t s sqrt(1 + 1 / n),   s^2 = (4 s0^2 + sum of squares about the mean) / (4 + n - 1)

over n jobs' logarithms, with the 95 % quantile t of Student's distribution with 4 + n - 1 degrees
of freedom. The prior s0 grows with the distance of the limits and is larger for others' jobs and
between kinds of nodes, as read off the measurements in docs/explanation/prediction.md.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from carbonsched.prediction.spread import Prior, pooled_half_width

ENOUGH = 3
"""So many jobs of others are not a chance."""
_LEAST = 1e-6
"""Seconds or joules of an epoch: keeps logarithms finite."""
_WEIGHT = 4  # degrees of freedom that the prior is worth


@dataclass(frozen=True, slots=True)
class _Doubt:
    """The standard deviation to expect of jobs' logarithms: at one limit, by log-limit, by kind."""

    least: float
    by_limit: float
    by_kind: float

    def prior(self, here: Condition, there: Condition) -> Prior:
        one_w, other_w = here.gpu_limit_w, there.gpu_limit_w
        if here.kind != there.kind or one_w is None or other_w is None:
            return Prior(sd=self.by_kind, weight=_WEIGHT)
        apart = abs(math.log(other_w / one_w))
        return Prior(sd=self.least + self.by_limit * apart, weight=_WEIGHT)


_OWN = _Doubt(least=0.03, by_limit=0.15, by_kind=0.15)
_OTHERS = _Doubt(least=0.03, by_limit=0.25, by_kind=0.4)

Kind = Hashable


@dataclass(frozen=True, slots=True)
class Condition:
    """A kind of node and the power limit of its GPUs, ``None`` where that is not known."""

    kind: Kind
    gpu_limit_w: int | None


@dataclass(frozen=True, slots=True)
class JobLike:
    """What makes runs comparable."""

    user: str
    name: str
    node_count: int
    cpus: int


@dataclass(frozen=True, slots=True)
class SeenEpoch:
    """One epoch on all nodes of its job, not the first of its run; its energy metered in full."""

    job: JobLike
    condition: Condition
    seconds: float
    joules: float


@dataclass(frozen=True, slots=True)
class Factor:
    """A ratio, and half the width of its 90 % interval in logarithms."""

    times: float
    half_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Of time and of energy per epoch; ``own`` is whether the owner's jobs of that name told it.

    ``between`` is whether they ran at limits around one of those asked for.
    """

    time: Factor
    energy: Factor
    jobs: int
    own: bool
    between: bool


SAME = Ratio(time=Factor(1.0, 0.0), energy=Factor(1.0, 0.0), jobs=0, own=True, between=False)
_Point = tuple[float, float]  # logarithms of seconds and of joules
Levels = Mapping[JobLike, Mapping[Condition, _Point]]


def levels(epochs: Iterable[SeenEpoch]) -> Levels:
    """The median epoch of each job under each condition, in logarithms of seconds and joules."""
    found: dict[JobLike, dict[Condition, list[SeenEpoch]]] = defaultdict(lambda: defaultdict(list))
    for one in epochs:
        found[one.job][one.condition].append(one)
    return {
        job: {
            condition: (
                _logarithm(median(one.seconds for one in seen)),
                _logarithm(median(one.joules for one in seen)),
            )
            for condition, seen in by_condition.items()
        }
        for job, by_condition in found.items()
    }


def ratio(
    known: Levels, here: Condition, there: Condition, *, user: str, name: str
) -> Ratio | None:
    """How many times the time and the energy of an epoch ``here`` it takes ``there``.

    ``user`` and ``name`` are those of the job in question. ``None`` where too few jobs tell.
    """
    if here == there:
        return SAME
    own = {job: one for job, one in known.items() if (job.user, job.name) == (user, name)}
    for among, least, doubt in ((own, 1, _OWN), (known, ENOUGH, _OTHERS)):
        prior = doubt.prior(here, there)
        for between in (False, True):
            shown = _differences(among, here, there, between=between)
            if len(shown) >= least:
                return Ratio(
                    time=_factor([seconds for seconds, _ in shown], prior),
                    energy=_factor([joules for _, joules in shown], prior),
                    jobs=len(shown),
                    own=among is own,
                    between=between,
                )
    return None


def _differences(
    among: Levels, here: Condition, there: Condition, *, between: bool
) -> list[_Point]:
    """Those of each job's logarithms that tells both."""
    found = []
    for points in among.values():
        before = _at(points, here, between=between)
        after = _at(points, there, between=between)
        if before is not None and after is not None:
            found.append((after[0] - before[0], after[1] - before[1]))
    return found


def _at(points: Mapping[Condition, _Point], wanted: Condition, *, between: bool) -> _Point | None:
    """A job's logarithms under a condition, if it ran under that or around it."""
    if wanted in points or not between or wanted.gpu_limit_w is None:
        return points.get(wanted)
    limits = sorted(
        one.gpu_limit_w for one in points if one.kind == wanted.kind and one.gpu_limit_w is not None
    )
    above = bisect_left(limits, wanted.gpu_limit_w)
    if above in (0, len(limits)):
        return None
    low_w, high_w = limits[above - 1], limits[above]
    low, high = (points[Condition(wanted.kind, watts)] for watts in (low_w, high_w))
    share = (wanted.gpu_limit_w - low_w) / (high_w - low_w)
    return (low[0] + share * (high[0] - low[0]), low[1] + share * (high[1] - low[1]))


def _factor(logarithms: list[float], prior: Prior) -> Factor:
    half_width = pooled_half_width(logarithms, prior)
    return Factor(
        times=math.exp(median(logarithms)),
        half_width=half_width * math.sqrt(1 + 1 / len(logarithms)),
    )


def _logarithm(value: float) -> float:
    return math.log(max(value, _LEAST))
