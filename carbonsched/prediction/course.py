"""A training's whole time and energy from its first epochs: the model of docs/explanation.

``foresee`` is the one door. Time and energy are foretold apart, for power differs between warm-up,
training and validation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from carbonsched.prediction.levels import Cycle, Expected, State, filtered
from carbonsched.prediction.outlook import Estimate, Normal, estimate, exactly, moments
from carbonsched.prediction.stops import lengths
from carbonsched.prediction.warm_up import FEWEST_PARTS, steady, warm_parts

METHOD = "epochs"
VERSION = "2"

_USUAL_FIRST = (0.0, 0.06)
"""By how much an unseen first epoch exceeds later ones, of an epoch: mean and deviation."""
_SLOW = 0.2
"""The chance of a first epoch that was slow throughout, as the second shows."""
_LEAST_FIRST_SD = 0.02
_UNSURE_FIRST = 0.3  # of what was paid once by a first epoch's parts
_DECLARED_HEAVY = (0.15, 0.12)
_DECLARED_WEIGHT = 0.5  # of an epoch seen
_TAIL_SPREAD = 0.005
_DRIFT = 0.025  # of the remaining epochs' mean, where all of them remain
_HEAVIER = (0.2, 0.28, 0.24)
"""Something heavier later on that nothing showed: its chance after one epoch, mean, deviation."""
_LIGHTER = {"seconds": (0.2, -0.25, 0.18), "joules": (0.2, -0.2, 0.15)}
"""A first epoch that was slow throughout, or a faster machine later on."""
_DOUBT = 2.0  # deviations within which a difference from the plain mean is taken for chance
_LONG = 1000  # epochs, over which cycles are as frequent as they are
_PAST_SD = 0.12  # of what earlier logs tell of this model's error, before any is seen
_RUN_SD = 0.07  # between runs of the same training
_RUN_WEIGHT = 2


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
class Foreseen:
    """The whole of the epochs up to the last, in seconds and joules, and what it rests on."""

    seconds: Estimate
    joules: Estimate
    warm_parts: int
    stops: int
    earlier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
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


def foresee(
    epochs: Sequence[Epoch],
    total: int,
    *,
    validate_every: int | None = None,
    earlier: Sequence[Sequence[Epoch]] = (),
) -> Foreseen:
    """The whole training of ``total`` epochs from those seen, in order.

    ``validate_every`` is the declared period of heavier epochs; ``earlier`` are logs of the same
    user's trainings like this one.
    """
    seen = epochs[-1].number
    past = [log for log in earlier if log and log[-1].number > seen]
    ends = lengths([log[-1].number for log in past], seen, total)
    warm = _warm(epochs)
    figures = [
        _whole(
            _series(epochs, warm, what),
            ends,
            total,
            validate_every,
            _errors(past, seen, validate_every, what),
        )
        for what in ("seconds", "joules")
    ]
    stops = sum(1 for end, _ in ends if end < total)
    return Foreseen(
        seconds=figures[0], joules=figures[1], warm_parts=warm, stops=stops, earlier=len(past)
    )


def _warm(epochs: Sequence[Epoch]) -> int:
    first = epochs[0]
    if first.number != 1 or len(first.parts) < FEWEST_PARTS:
        return 0
    return warm_parts([part.seconds for part in first.parts], [part.joules for part in first.parts])


def _series(epochs: Sequence[Epoch], warm: int, what: str) -> _Series:
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
    if unit <= 0:
        unit = max(fmean(values), 1e-9)
    return _Series(
        what=what,
        unit=unit,
        spent=sum(values),
        whole=tuple(value / unit for value in _settled(values, once)),
        numbers=tuple(epoch.number for epoch in epochs),
        bodies=tuple(body / unit for body in bodies),
        tails=tuple(tail / unit for tail in tails) if parted else (),
        once=once / unit if len(epochs[0].parts) >= FEWEST_PARTS else math.nan,
        spread=math.hypot(0.015, fmean(deviations)),
    )


def _settled(values: Sequence[float], once: float) -> list[float]:
    """The epochs, the first without what it paid once, if that makes it more like the others."""
    first, others = values[0], values[1:]
    if others and once:
        usual = fmean(others)
        if abs(first - once - usual) < abs(first - usual):
            first -= once
    return [first, *others]


def _whole(
    series: _Series,
    ends: Sequence[tuple[int, float]],
    total: int,
    validate_every: int | None,
    errors: Sequence[float],
) -> Estimate:
    """The sum over all epochs, over the lengths that the training may have."""
    body, tail = _states(series, validate_every)
    seen = series.numbers[-1]
    plain = _plainly(series, validate_every, tail or body)
    trust = 1.0 if errors or seen == 1 else _trust(body, tail, series, plain)
    mixture: list[Normal] = []
    centres: list[tuple[float, float]] = []
    for end, weight in ends:
        if end <= seen:
            mixture.append(Normal(weight, 0.0, 0.0))
            centres.append((0.0, weight))
            continue
        ahead = _ahead(body, tail, seen, end)
        mean, _ = moments(ahead)
        centre = (1 - trust) * plain(end) + trust * mean
        scale, deviation = _correction(errors)
        centre *= scale
        ahead = [
            Normal(w, centre + (m - mean) * scale, math.hypot(s * scale, centre * deviation))
            for w, m, s in ahead
        ]
        mean = centre
        centres.append((mean, weight))
        for w, m, s in _doubted(ahead, series.what, seen, end - seen, len(errors)):
            mixture.append(Normal(w * weight, m, s))
    centre = _middle(centres)
    if total <= seen or centre == 0:
        return exactly(series.spent)
    least = 0.0
    found = estimate(centre, mixture, least)
    unit = series.unit
    return Estimate(
        p05=found.p05 * unit, p25=found.p25 * unit, mean=found.mean * unit,
        p75=found.p75 * unit, p95=found.p95 * unit,
    ).plus(series.spent)  # fmt: skip


def _states(series: _Series, every: int | None) -> tuple[list[State], list[State]]:
    """The hypotheses on the bodies, and those on the tails where parts tell them apart."""
    periodic = every is not None and every > 1
    once = series.once
    first = (
        _USUAL_FIRST
        if math.isnan(once)
        else (0.0, math.hypot(_LEAST_FIRST_SD, _UNSURE_FIRST * once))
    )
    if len(series.numbers) == 1 and not math.isnan(once):
        first = (0.0, 0.01)
    if not series.tails:
        expected = Expected(
            first=first,
            slow=_SLOW,
            spread=series.spread,
            declared=every,
            heavy=_DECLARED_HEAVY if periodic else (0.25, 0.25),
        )
        return filtered(series.bodies, series.numbers, expected), []
    body = Expected(
        first=first,
        slow=_SLOW,
        spread=series.spread,
        cyclic=0.1,
        declared=1 if periodic else None,
    )
    tail = Expected(
        level=(0.0, 0.2 if periodic else 0.5),
        first=(0.0, 0.01),
        heavy=_DECLARED_HEAVY if periodic else (0.25, 0.25),
        spread=_TAIL_SPREAD,
        cyclic=0.5,
        declared=every,
    )
    return (
        filtered(series.bodies, series.numbers, body),
        filtered(series.tails, series.numbers, tail),
    )


def _ahead(body: Sequence[State], tail: Sequence[State], seen: int, end: int) -> list[Normal]:
    """The sum of the remaining epochs, in usual epochs."""
    sums = [(one.weight, *one.ahead(seen, end, 0.0)) for one in body]
    mean, variance = 0.0, 0.0
    if tail:
        tails = [
            Normal(one.weight, m, math.sqrt(v)) for one in tail for m, v in [one.ahead(seen, end)]
        ]
        mean, variance = moments(tails)
    return [Normal(w, max(0.0, m + mean), math.sqrt(v + variance)) for w, m, v in sums]


def _doubted(ahead: list[Normal], what: str, seen: int, left: int, earlier: int) -> list[Normal]:
    """The same with what no epoch shows: drift, something heavier later, a slow first epoch."""
    share = left / (left + seen)
    mean, variance = moments(ahead)
    drift = _DRIFT * math.sqrt(share)
    unseen = 1 / (1 + 2 * earlier)
    up, more, more_sd = _HEAVIER
    down, less, less_sd = _LIGHTER[what]
    up *= unseen * share / (1 + 0.04 * (seen - 1))
    down *= unseen * share / seen
    usual = [Normal(w * (1 - up - down), m, math.hypot(s, drift * m)) for w, m, s in ahead]
    return [
        *usual,
        Normal(up, mean * (1 + more), math.sqrt(variance + (more_sd * mean) ** 2)),
        Normal(down, mean * (1 + less), math.sqrt(variance + (less_sd * mean) ** 2)),
    ]


def _plainly(series: _Series, every: int | None, states: Sequence[State]) -> Callable[[int], float]:
    """The remaining epochs up to one by plain means: of all seen, or of light and heavier ones.

    What is declared to come and was not seen yet is taken to be as it usually is.
    """
    seen = series.numbers[-1]
    if every is None or every < 2:
        mean = fmean(series.whole)
        return lambda end: (end - seen) * mean
    from_one = sum(one.weight for one in states if one.cycle and one.cycle.first == 1)
    cycle = Cycle(every, 1 if from_one > 0.5 else every)
    pairs = list(zip(series.numbers, series.whole, strict=True))
    light = [value for number, value in pairs if not cycle.has(number)]
    heavy = [value for number, value in pairs if cycle.has(number)]
    usual = fmean(light) if light else fmean(heavy) / (1 + _DECLARED_HEAVY[0])
    extra = _DECLARED_HEAVY[0] * usual * _DECLARED_WEIGHT + sum(one - usual for one in heavy)
    extra = max(0.0, extra / (len(heavy) + _DECLARED_WEIGHT))
    return lambda end: (end - seen) * usual + cycle.among(seen, end) * extra


def _trust(
    body: Sequence[State],
    tail: Sequence[State],
    series: _Series,
    plain: Callable[[int], float],
) -> float:
    """How much of what is found beside the plain mean of the epochs seen is not chance.

    From 0 to 1, as an estimator of James and Stein's kind has it.
    """
    seen = series.numbers[-1]
    mean, _ = moments(_ahead(body, tail, seen, seen + _LONG))
    usual = plain(seen + _LONG)
    apart = mean / usual - 1 if usual > 0 else 0.0
    if not apart:
        return 0.0
    noise = sum(one.weight * one.spread**2 * (1 + one.wander) for one in body)
    return max(0.0, 1 - _DOUBT**2 * noise / len(series.numbers) / apart**2)


def _errors(
    past: Sequence[Sequence[Epoch]], seen: int, every: int | None, what: str
) -> list[float]:
    """The logarithm of what followed the same epochs of earlier logs over what was foretold."""
    found = []
    for log in past:
        head = [epoch for epoch in log if epoch.number <= seen]
        rest = sum(getattr(epoch.cost, what) for epoch in log if epoch.number > seen)
        if not head or rest <= 0:
            continue
        series = _series(head, _warm(head), what)
        body, tail = _states(series, every)
        mean, _ = moments(_ahead(body, tail, seen, log[-1].number))
        if mean > 0:
            found.append(math.log(rest / (mean * series.unit)))
    return found


def _correction(errors: Sequence[float]) -> tuple[float, float]:
    """The factor that earlier logs tell, and how unsure it is."""
    if not errors:
        return 1.0, 0.0
    count = len(errors)
    middle = fmean(errors)
    squares = sum((error - middle) ** 2 for error in errors)
    variance = (_RUN_WEIGHT * _RUN_SD**2 + squares) / (_RUN_WEIGHT + count - 1)
    shrunk = sum(errors) / (count + variance / _PAST_SD**2)
    return math.exp(shrunk), math.sqrt(variance * (1 + 1 / count))


def _middle(centres: Sequence[tuple[float, float]]) -> float:
    """The weighted median."""
    ordered = sorted(centres)
    half = sum(weight for _, weight in ordered) / 2
    for value, weight in ordered:
        half -= weight
        if half <= 1e-12:
            return value
    return ordered[-1][0]
