"""The epochs seen as two series of numbers for each quantity: their bodies and their tails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from carbonsched.prediction.warm_up import FEWEST_PARTS, steady, warm_parts

_LEAST_SPREAD = 0.015  # of epochs that look alike
_LEAST_UNIT = 1e-9
_LEAST_SHARE = 1e-3  # of the mean, that the median has to be


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds and joules of an epoch or of a part of one."""

    seconds: float
    joules: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch, with its parts of equal numbers of steps where they are known.

    ``resumed`` is one that a run began with which goes on from a checkpoint.
    """

    number: int
    cost: Cost
    parts: tuple[Cost, ...] = ()
    relative_sd: float = 0.0
    resumed: bool = False

    @property
    def fresh(self) -> bool:
        """Whether a process began with it, so that its start may have been slow."""
        return self.number == 1 or self.resumed

    @property
    def warm_parts(self) -> int:
        """How many parts at its beginning are warm-up; 0 where none can be."""
        if not self.fresh or len(self.parts) < FEWEST_PARTS:
            return 0
        return warm_parts(
            [part.seconds for part in self.parts], [part.joules for part in self.parts]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One quantity of the epochs seen; ``unit`` is a usual epoch's, bodies and tails are in it.

    ``fresh`` are the numbers of epochs that a process began with; ``once`` is what was paid once in
    the first epoch.
    """

    what: str
    unit: float
    spent: float
    whole: tuple[float, ...]
    numbers: tuple[int, ...]
    fresh: frozenset[int]
    bodies: tuple[float, ...]
    tails: tuple[float, ...]
    once: float
    spread: float


def series_of(epochs: Sequence[Epoch], what: str) -> Series:
    """One quantity, what was paid once taken off the epochs that a process began with."""
    values = [getattr(epoch.cost, what) for epoch in epochs]
    bodies, tails, deviations = list(values), [0.0] * len(values), []
    once = [0.0] * len(values)
    parted = all(len(epoch.parts) >= FEWEST_PARTS for epoch in epochs)
    for index, epoch in enumerate(epochs):
        deviations.append(epoch.relative_sd)
        if len(epoch.parts) < FEWEST_PARTS or not (parted or index == 0):
            continue
        parts = [getattr(part, what) for part in epoch.parts]
        split = steady(parts, epoch.warm_parts)
        deviations[-1] = split.relative_sd / len(parts) ** 0.25
        bodies[index], tails[index], once[index] = split.body, split.tail, split.once
        if not parted:
            bodies[index], tails[index] = split.body + split.tail, 0.0
    unit = median(body + tail for body, tail in zip(bodies, tails, strict=True))
    if unit <= _LEAST_SHARE * fmean(values):  # most are next to nothing beside some
        unit = max(fmean(values), _LEAST_UNIT)
    return Series(
        what=what,
        unit=unit,
        spent=sum(values),
        whole=tuple(value / unit for value in _settled(values, once)),
        numbers=tuple(epoch.number for epoch in epochs),
        fresh=frozenset(epoch.number for epoch in epochs if epoch.fresh),
        bodies=tuple(body / unit for body in bodies),
        tails=tuple(tail / unit for tail in tails) if parted else (),
        once=once[0] / unit if len(epochs[0].parts) >= FEWEST_PARTS else math.nan,
        spread=math.hypot(_LEAST_SPREAD, fmean(deviations)),
    )


def _settled(values: Sequence[float], once: Sequence[float]) -> list[float]:
    """The epochs without what they paid once, where that makes them more like the others."""
    others = [value for value, paid in zip(values, once, strict=True) if not paid]
    if not others:
        return list(values)
    usual = fmean(others)
    return [
        value - paid if abs(value - paid - usual) < abs(value - usual) else value
        for value, paid in zip(values, once, strict=True)
    ]
