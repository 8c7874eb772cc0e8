"""From generation by fuel over time, in steps of unlike length, to intensity.

Only times at which the mix is whole are used: a type that has stopped reporting makes the rest
look cleaner or dirtier than it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from carbonsched.intensity.factors import STORAGE, FactorSet, Output, output
from carbonsched.intensity.periods import without_contradictions
from carbonsched.model.intensity import Point

MAX_MISSING = Fraction(1, 20)
"""The share of the output, or of the emissions, that the types without a value may have had."""

MAX_MW = 2_000_000
"""More than any zone generates or uses: a value above it is none."""

HOLE_S = 6 * 3600
_STEADY_LEAST = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Step:
    """A quantity that holds over ``[start_at, end_at)``; power in MW or energy in MWh."""

    start_at: int
    end_at: int
    value: Fraction


@dataclass(frozen=True, slots=True)
class Slot:
    """The values of all series over ``[start_at, end_at)``; those without one are not named."""

    start_at: int
    end_at: int
    values: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class Whole:
    """A time at which the mix is whole: what each fuel gave, the sum, and what else is known."""

    start_at: int
    end_at: int
    generation: Mapping[str, Fraction]
    output: Output
    beside: Mapping[str, Fraction]


def steps_of(rows: Iterable[Step]) -> tuple[tuple[Step, ...], int]:
    """In order; equal ones once; those that contradict each other left out, and how many."""
    return without_contradictions(rows)


def without_holes(steps: Sequence[Step]) -> tuple[tuple[Step, ...], int]:
    """A fuel's steps without zeros that are no standstill, and how many those were.

    Zeros are published when something breaks. A run of zeros (or of less) of at most ``HOLE_S``
    that the fuel falls into from over half its mean, and comes back from to as much or has not yet
    come back from, is missing. Not for sun and wind, nor for storage.
    """
    given = sum((s.value * (s.end_at - s.start_at) for s in steps if s.value > 0), Fraction(0))
    length_s = sum(step.end_at - step.start_at for step in steps)
    kept: list[Step] = []
    holes = 0
    before: Step | None = None
    for zero, group in groupby(steps, key=lambda step: step.value <= 0):
        run = list(group)
        after = next((step for step in steps if step.start_at >= run[-1].end_at), None)
        sides = [side for side in (before, after) if side is not None]
        high = all(side.value * length_s > _STEADY_LEAST * given for side in sides)
        before = run[-1]
        if zero and sides and high and run[-1].end_at - run[0].start_at <= HOLE_S:
            holes += len(run)
        else:
            kept += run
    return tuple(kept), holes


def slots(series: Mapping[str, Sequence[Step]]) -> list[Slot]:
    """The series cut at every border of any of them; powers hold over each part of their step.

    Each series is in order and without overlap.
    """
    borders = sorted(
        {at for some in series.values() for s in some for at in (s.start_at, s.end_at)}
    )
    index = {at: n for n, at in enumerate(borders)}
    values: list[dict[str, Fraction]] = [{} for _ in borders]
    for name, some in series.items():
        for step in some:
            for n in range(index[step.start_at], index[step.end_at]):
                values[n][name] = step.value
    return [
        Slot(start_at, end_at, held)
        for start_at, end_at, held in zip(borders, borders[1:], values, strict=False)
        if held
    ]


def whole(
    slots_: Iterable[Slot], fuels: Mapping[str, str], factors: FactorSet
) -> tuple[list[Whole], int]:
    """The slots whose mix is whole, and how many are not.

    ``fuels`` says the fuel of each series of the mix; others, such as the load, come ``beside``. A
    slot is whole where the series without a value in it had, by their mean over the others, at
    most ``MAX_MISSING`` of its output and of its emissions. None is where a series has no value
    at all, for what it usually had is not known then.
    """
    taken = [slot for slot in slots_ if not slot.values.keys().isdisjoint(fuels)]
    means = _means(taken, fuels)
    if any(fuel != STORAGE and name not in means for name, fuel in fuels.items()):
        return [], len(taken)
    usual = {name: output({fuels[name]: mean}, factors) for name, mean in means.items()}
    found = []
    for slot in taken:
        generation: dict[str, Fraction] = defaultdict(Fraction)
        for name in slot.values.keys() & fuels.keys():
            generation[fuels[name]] += slot.values[name]
        told = output(generation, factors)
        lost = [usual[name] for name in usual if name not in slot.values]
        amount = sum((one.amount for one in lost), Fraction(0))
        grams = sum((one.grams for one in lost), Fraction(0))
        if told.amount > 0 and (
            amount <= MAX_MISSING * (told.amount + amount)
            and grams <= MAX_MISSING * (told.grams + grams)
        ):
            beside = {name: slot.values[name] for name in slot.values.keys() - fuels.keys()}
            found.append(Whole(slot.start_at, slot.end_at, dict(generation), told, beside))
    return found, len(taken) - len(found)


def points(wholes: Iterable[Whole]) -> tuple[Point, ...]:
    """The intensity of each; a mix without emissions is missing (see ``Output.mg_per_kwh``)."""
    made = []
    for one in wholes:
        mg_per_kwh = one.output.mg_per_kwh
        if mg_per_kwh is not None:
            made.append(Point(one.start_at, one.end_at, mg_per_kwh))
    return tuple(made)


def known_points(
    wholes: Iterable[Whole], start_at: int, until_at: int, now: int
) -> tuple[Point, ...]:
    """The intensity of those that touch ``[start_at, until_at)`` and are over by ``now``."""
    touching = (one for one in wholes if one.end_at > start_at and one.start_at < until_at)
    return points(one for one in touching if one.end_at <= now)


def _means(slots_: Sequence[Slot], names: Container[str]) -> dict[str, Fraction]:
    """Each of the named series' time-weighted mean where it has values."""
    amount: dict[str, Fraction] = defaultdict(Fraction)
    length: dict[str, int] = defaultdict(int)
    for slot in slots_:
        for name, value in slot.values.items():
            if name not in names:
                continue
            amount[name] += value * (slot.end_at - slot.start_at)
            length[name] += slot.end_at - slot.start_at
    return {name: total / length[name] for name, total in amount.items()}
