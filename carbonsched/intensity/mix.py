"""From generation by fuel over time, in steps of unlike length, to intensity.

Only times at which the mix is whole are used: a type that has stopped reporting makes the rest
look cleaner or dirtier than it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from carbonsched.intensity.factors import FactorSet, Output, output
from carbonsched.intensity.periods import without_contradictions
from carbonsched.model.intensity import Point

MAX_MISSING = Fraction(1, 20)
"""The share of the output, or of the emissions, that the types without a value may have had."""

MAX_MW = 2_000_000
"""More than any zone generates or uses: a value above it is none."""

KNOWN_S = 14 * 86_400
"""So long before and after it has a value, a series without one is missed: then it is closed."""

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


@dataclass(frozen=True, slots=True)
class Usual:
    """What a series of a mix gives by its mean where it has values, and since when it has each."""

    output: Output
    known_at: tuple[int, ...]

    def misses(self, at: int) -> bool:
        """Whether the series, without a value then, has one within ``KNOWN_S``."""
        index = bisect_left(self.known_at, at)
        around = self.known_at[max(index - 1, 0) : index + 1]
        return any(abs(at - one) <= KNOWN_S for one in around)


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


def usual_of(
    slots_: Iterable[Slot], fuels: Mapping[str, str], factors: FactorSet
) -> dict[str, Usual]:
    """The series of the mix that have values, each with its time-weighted mean output."""
    amount: dict[str, Fraction] = defaultdict(Fraction)
    length: dict[str, int] = defaultdict(int)
    known_at: dict[str, list[int]] = defaultdict(list)
    for slot in slots_:
        for name in slot.values.keys() & fuels.keys():
            amount[name] += slot.values[name] * (slot.end_at - slot.start_at)
            length[name] += slot.end_at - slot.start_at
            known_at[name].append(slot.start_at)
    return {
        name: Usual(output({fuels[name]: total / length[name]}, factors), tuple(known_at[name]))
        for name, total in amount.items()
    }


def whole(
    slots_: Sequence[Slot],
    fuels: Mapping[str, str],
    factors: FactorSet,
    usual: Mapping[str, Usual] | None = None,
) -> tuple[list[Whole], int]:
    """The slots whose mix is whole, and how many are not.

    ``fuels`` says the fuel of each series of the mix; others, such as the load, come ``beside``. A
    slot is whole where the series that are missed in it give, by their ``usual`` mean, at most
    ``MAX_MISSING`` of its output and of its emissions. ``usual`` may name series that these slots
    do not; without it, it is that of these slots. A series that never had a value is not missed.
    """
    taken = [slot for slot in slots_ if not slot.values.keys().isdisjoint(fuels)]
    known = usual_of(taken, fuels, factors) if usual is None else usual
    found = []
    for slot in taken:
        generation: dict[str, Fraction] = defaultdict(Fraction)
        for name in slot.values.keys() & fuels.keys():
            generation[fuels[name]] += slot.values[name]
        told = output(generation, factors)
        silent = [one for name, one in known.items() if name not in slot.values]
        lost = [one.output for one in silent if one.misses(slot.start_at)]
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
