"""A training's whole time and energy from its first epochs: the model of docs/explanation.

``foresee`` is the one door. Time and energy are foretold apart, for power differs between warm-up,
training and validation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from carbonsched.prediction.doubts import correction, doubted
from carbonsched.prediction.growth import grown, growth
from carbonsched.prediction.levels import Cycle, Expected, State, filtered
from carbonsched.prediction.outlook import Estimate, Normal, estimate, exactly, moments
from carbonsched.prediction.series import Cost, Epoch, Series, series_of
from carbonsched.prediction.stops import lengths

__all__ = ["METHOD", "VERSION", "Cost", "Epoch", "Foreseen", "foresee"]

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
_DOUBT = 2.0  # deviations within which a difference from the plain mean is taken for chance
_ALIKE = 1e-9
_LONG = 1000  # epochs, over which cycles are as frequent as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """The whole of the epochs up to the last, in seconds and joules, and what it rests on."""

    seconds: Estimate
    joules: Estimate
    warm_parts: int
    stops: int
    earlier: int


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
    past = [list(log) for log in earlier if log and log[-1].number > seen]
    if not all(log[0].parts for log in [*past, epochs]) and past:
        epochs, *past = (_unparted(log) for log in [epochs, *past])  # as alike as they can be
    ends = lengths([log[-1].number for log in past], seen, total)
    figures = [
        _whole(
            series_of(epochs, what),
            ends,
            total,
            validate_every,
            _errors(past, seen, validate_every, what),
        )
        for what in ("seconds", "joules")
    ]
    stops = sum(1 for end, _ in ends if end < total)
    return Foreseen(
        seconds=figures[0],
        joules=figures[1],
        warm_parts=epochs[0].warm_parts,
        stops=stops,
        earlier=len(past),
    )


def _unparted(epochs: Sequence[Epoch]) -> list[Epoch]:
    return [replace(epoch, parts=()) for epoch in epochs]


def _whole(
    series: Series,
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
    blind = seen == 1 and math.isnan(series.once)
    scale, deviation = correction(errors)
    growing = None if errors else growth(series.bodies)
    mixture: list[Normal] = []
    centres: list[tuple[float, float]] = []
    for end, weight in ends:
        if end <= seen:
            mixture.append(Normal(weight, 0.0, 0.0))
            centres.append((0.0, weight))
            continue
        if growing is not None:
            centre, ahead = grown(growing, end - seen, fmean(series.tails or (0.0,)))
        else:
            ahead = _ahead(body, tail, seen, end)
            mean, _ = moments(ahead)
            centre = ((1 - trust) * plain(end) + trust * mean) * scale
            ahead = [
                Normal(w, centre + (m - mean) * scale, math.hypot(s * scale, centre * deviation))
                for w, m, s in ahead
            ]
        centres.append((centre, weight))
        for w, m, s in doubted(ahead, series.what, seen, end - seen, len(errors), blind=blind):
            mixture.append(Normal(w * weight, m, s))
    centre = _middle(centres)
    if total <= seen or centre == 0:
        return exactly(series.spent)
    return estimate(centre, mixture, 0.0).times(series.unit).plus(series.spent)


def _states(series: Series, every: int | None) -> tuple[list[State], list[State]]:
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
            fresh=series.fresh,
            spread=series.spread,
            declared=every,
            heavy=_DECLARED_HEAVY if periodic else (0.25, 0.25),
        )
        return filtered(series.bodies, series.numbers, expected), []
    body = Expected(
        first=first,
        slow=_SLOW,
        fresh=series.fresh,
        spread=series.spread,
        cyclic=0.1,
        declared=1 if periodic else None,
    )
    tail = Expected(
        level=(0.0, 0.2 if periodic else 0.5),
        first=(0.0, 0.01),
        fresh=series.fresh,
        heavy=_DECLARED_HEAVY if periodic else (0.25, 0.25),
        spread=_TAIL_SPREAD,
        cyclic=0.5,
        once=0.1,
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


def _plainly(series: Series, every: int | None, states: Sequence[State]) -> Callable[[int], float]:
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
    series: Series,
    plain: Callable[[int], float],
) -> float:
    """How much of what is found beside the plain mean of the epochs seen is not chance.

    From 0 to 1, as an estimator of James and Stein's kind has it.
    """
    seen = series.numbers[-1]
    mean, _ = moments(_ahead(body, tail, seen, seen + _LONG))
    usual = plain(seen + _LONG)
    apart = mean / usual - 1 if usual > _ALIKE else 0.0
    if abs(apart) < _ALIKE:
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
        series = series_of(head, what)
        body, tail = _states(series, every)
        mean, _ = moments(_ahead(body, tail, seen, log[-1].number))
        if mean > 0:
            found.append(math.log(rest / (mean * series.unit)))
    return found


def _middle(centres: Sequence[tuple[float, float]]) -> float:
    """The weighted median."""
    ordered = sorted(centres)
    half = sum(weight for _, weight in ordered) / 2
    for value, weight in ordered:
        half -= weight
        if half <= 1e-12:
            return value
    return ordered[-1][0]
