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
    """One epoch, with its parts of equal numbers of steps where they are known."""

    number: int
    cost: Cost
    parts: tuple[Cost, ...] = ()
    relative_sd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One quantity of the epochs seen; ``unit`` is a usual epoch's, bodies and tails are in it."""

    what: str
    unit: float
    spent: float
    whole: tuple[float, ...]
    numbers: tuple[int, ...]
    bodies: tuple[float, ...]
    tails: tuple[float, ...]
    once: float
    spread: float


def warm_of(epochs: Sequence[Epoch]) -> int:
    """How many parts of the first epoch are warm-up; 0 where it is not there or has no parts."""
    first = epochs[0]
    if first.number != 1 or len(first.parts) < FEWEST_PARTS:
        return 0
    return warm_parts([part.seconds for part in first.parts], [part.joules for part in first.parts])


def series_of(epochs: Sequence[Epoch], warm: int, what: str) -> Series:
    """One quantity, what was paid once taken off the first epoch."""
    values = [getattr(epoch.cost, what) for epoch in epochs]
    bodies, tails, once, deviations = list(values), [0.0] * len(values), 0.0, []
    parted = all(len(epoch.parts) >= FEWEST_PARTS for epoch in epochs)
    for index, epoch in enumerate(epochs):
        deviations.append(epoch.relative_sd)
        if len(epoch.parts) < FEWEST_PARTS or not (parted or index == 0):
            continue
        parts = [getattr(part, what) for part in epoch.parts]
        split = steady(parts, warm if epoch.number == 1 else 0)
        deviations[-1] = split.relative_sd / len(parts) ** 0.25
        bodies[index], tails[index] = split.body, split.tail
        if not parted:
            bodies[index], tails[index] = split.body + split.tail, 0.0
        if epoch.number == 1:
            once = split.once
    unit = median(body + tail for body, tail in zip(bodies, tails, strict=True))
    if unit <= _LEAST_SHARE * fmean(values):  # most are next to nothing beside some
        unit = max(fmean(values), _LEAST_UNIT)
    return Series(
        what=what,
        unit=unit,
        spent=sum(values),
        whole=tuple(value / unit for value in _settled(values, once)),
        numbers=tuple(epoch.number for epoch in epochs),
        bodies=tuple(body / unit for body in bodies),
        tails=tuple(tail / unit for tail in tails) if parted else (),
        once=once / unit if len(epochs[0].parts) >= FEWEST_PARTS else math.nan,
        spread=math.hypot(_LEAST_SPREAD, fmean(deviations)),
    )


def _settled(values: Sequence[float], once: float) -> list[float]:
    """The epochs, the first without what it paid once, if that makes it more like the others."""
    first, others = values[0], values[1:]
    if others and once:
        usual = fmean(others)
        if abs(first - once - usual) < abs(first - usual):
            first -= once
    return [first, *others]
