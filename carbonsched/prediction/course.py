"""A training's whole time and energy from its first epochs: the model of docs/explanation.

``foresee`` is the one door. Time and energy are foretold apart, for power differs between warm-up,
training and validation; their ratio, the power, tells of a slow first epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from carbonsched.prediction.cycles import Cycle
from carbonsched.prediction.doubts import correction, doubted
from carbonsched.prediction.growth import grown, growth
from carbonsched.prediction.levels import USUAL_HEAVY, Expected, Hypotheses, State, filtered
from carbonsched.prediction.outlook import Estimate, Normal, estimate, exactly, moments
from carbonsched.prediction.series import Cost, Epoch, Series, series_of
from carbonsched.prediction.stops import lengths, undeclared

__all__ = ["METHOD", "VERSION", "Cost", "Epoch", "Foreseen", "foresee"]

QUANTITIES = ("seconds", "joules")
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
_POWER_SPREAD = 0.02
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
    ended_after: Sequence[int] | None = None,
) -> Foreseen:
    """The whole training of ``total`` epochs from those seen, in order.

    ``validate_every`` is the declared period of heavier epochs; ``earlier`` are logs of the same
    user's trainings like this one. ``ended_after`` are the numbers of epochs after which those of
    them ended that were to be as long; without it they are guessed from the logs.
    """
    seen = epochs[-1].number
    past = [list(log) for log in earlier if log and log[-1].number > seen]
    if not all(log[0].parts for log in [*past, epochs]) and past:
        epochs, *past = (_unparted(log) for log in [epochs, *past])  # as alike as they can be
    if ended_after is None:
        ended_after = undeclared([log[-1].number for log in past], total)
    ends = lengths(ended_after, seen, total)
    errors = _errors(past, seen, validate_every)
    seconds, joules = (
        _whole(learnt, ends, total, validate_every, off)
        for learnt, off in zip(_learnt(epochs, validate_every), errors, strict=True)
    )
    stops = sum(1 for end, _ in ends if end < total)
    return Foreseen(
        seconds=seconds,
        joules=joules,
        warm_parts=epochs[0].warm_parts,
        stops=stops,
        earlier=len(past),
    )


def _unparted(epochs: Sequence[Epoch]) -> list[Epoch]:
    return [replace(epoch, parts=()) for epoch in epochs]


def _whole(
    learnt: _Learnt,
    ends: Sequence[tuple[int, float]],
    total: int,
    validate_every: int | None,
    errors: Sequence[float],
) -> Estimate:
    """The sum over all epochs, over the lengths that the training may have."""
    series, body, tail = learnt.series, learnt.body, learnt.tail
    seen = series.numbers[-1]
    plain = _plainly(series, validate_every, tail or body)
    trust = 1.0 if errors or seen == 1 else _trust(learnt, plain)
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


@dataclass(frozen=True, slots=True)
class _Learnt:
    """One quantity's series, the hypotheses on its bodies, and those on its tails if it has any.

    ``slow_hint`` is what the epochs' power tells of slow ones.
    """

    series: Series
    body: list[State]
    tail: list[State]
    slow_hint: float

    @property
    def told(self) -> float:
        """How sure power makes what is thought of the bodies, from 0 to 1."""
        slow = sum(one.weight for one in self.body if one.slow)
        return slow * (1 - math.exp(-self.slow_hint))


def _learnt(epochs: Sequence[Epoch], every: int | None) -> tuple[_Learnt, _Learnt]:
    """Of time and of energy; whether fresh epochs were slow, their power tells as well."""
    pair = [series_of(epochs, what) for what in QUANTITIES]
    power = _on_power(*pair)
    hint = power.slow_hint() if power else 0.0
    time, energy = (
        _Learnt(one, _on_bodies(one, every).weighed(hint), _on_tails(one, every), hint)
        for one in pair
    )
    return time, energy


def _on_power(time: Series, energy: Series) -> Hypotheses | None:
    """Of the mean power of the epochs, which is often another in a slow one."""
    watts = [
        joules / s if s > 0 else 0.0 for s, joules in zip(time.bodies, energy.bodies, strict=True)
    ]
    usual = median(watts)
    if usual <= _ALIKE or len(watts) == 1:
        return None
    expected = Expected(
        slow=_SLOW,
        slow_first=(((0.0, 0.4), 1.0),),
        fresh=time.fresh,
        spread=_POWER_SPREAD,
        declared=1,
    )
    return filtered([one / usual for one in watts], time.numbers, expected)


def _on_bodies(series: Series, every: int | None) -> Hypotheses:
    """Of whole epochs where parts do not tell their tails apart."""
    expected = Expected(first=_first(series), slow=_SLOW, fresh=series.fresh, spread=series.spread)
    if series.tails:  # what is declared is of these
        expected = replace(expected, cyclic=0.1, declared=1 if _periodic(every) else None)
    else:
        expected = replace(expected, declared=every, heavy=_heavy(every))
    return filtered(series.bodies, series.numbers, expected)


def _on_tails(series: Series, every: int | None) -> list[State]:
    if not series.tails:
        return []
    expected = Expected(
        level=(0.0, 0.2 if _periodic(every) else 0.5),
        first=(0.0, 0.01),
        fresh=series.fresh,
        heavy=_heavy(every),
        spread=_TAIL_SPREAD,
        cyclic=0.5,
        once=0.1,
        declared=every,
    )
    return filtered(series.tails, series.numbers, expected).weighed()


def _first(series: Series) -> tuple[float, float]:
    """What a first epoch still has on top, once what its parts show is taken off."""
    if math.isnan(series.once):
        return _USUAL_FIRST
    if len(series.numbers) == 1:
        return 0.0, 0.01
    return 0.0, math.hypot(_LEAST_FIRST_SD, _UNSURE_FIRST * series.once)


def _heavy(every: int | None) -> tuple[float, float]:
    return _DECLARED_HEAVY if _periodic(every) else USUAL_HEAVY


def _periodic(every: int | None) -> bool:
    """Whether a period of heavier epochs is declared."""
    return every is not None and every > 1


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


def _trust(learnt: _Learnt, plain: Callable[[int], float]) -> float:
    """How much of what is found beside the plain mean of the epochs seen is not chance.

    From 0 to 1, as an estimator of James and Stein's kind has it, and as far as power tells too.
    """
    seen = learnt.series.numbers[-1]
    mean, _ = moments(_ahead(learnt.body, learnt.tail, seen, seen + _LONG))
    usual = plain(seen + _LONG)
    apart = mean / usual - 1 if usual > _ALIKE else 0.0
    if abs(apart) < _ALIKE:
        return 0.0
    noise = sum(one.weight * one.spread**2 * (1 + one.wander) for one in learnt.body)
    by_chance = min(1.0, _DOUBT**2 * noise / len(learnt.series.numbers) / apart**2)
    return 1 - by_chance * (1 - learnt.told)


def _errors(
    past: Sequence[Sequence[Epoch]], seen: int, every: int | None
) -> tuple[list[float], list[float]]:
    """The logarithm of what followed the same epochs of earlier logs over what was foretold.

    Of time and of energy.
    """
    found: tuple[list[float], list[float]] = ([], [])
    for log in past:
        head = [epoch for epoch in log if epoch.number <= seen]
        if not head:
            continue
        for learnt, errors in zip(_learnt(head, every), found, strict=True):
            what = learnt.series.what
            rest = sum(getattr(epoch.cost, what) for epoch in log if epoch.number > seen)
            mean, _ = moments(_ahead(learnt.body, learnt.tail, seen, log[-1].number))
            if rest > 0 and mean > 0:
                errors.append(math.log(rest / (mean * learnt.series.unit)))
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
