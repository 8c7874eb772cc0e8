"""Prediction from a training job's own epochs: those done, and the remaining ones like them.

The formulas and why they are so: docs/explanation/prediction.md.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from carbonsched.model.epoch import EpochRecord
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.prediction.spread import Prior, pooled_half_width

METHOD = "epochs/1"
_PRIOR_WEIGHT = 2
_DURATION_SD = 0.02
_ENERGY_SD = 0.07
_MS_PER_S = 1000
_WARMED_UP = 3  # from so many epochs on, the first is left out of the mean of those to come


@dataclass(frozen=True, slots=True)
class _Epoch:
    """One epoch over all of the job's nodes."""

    number: int
    start_ms: int
    end_ms: int
    millij: int
    variance: float

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


def from_epochs(
    records: Iterable[EpochRecord],
    *,
    epochs_total: int | None,
    started_at: int,
    node_count: int = 1,
) -> Prediction | None:
    """Predict the whole job from its epochs so far, of one run on all its nodes.

    ``epochs_total`` is what the owner declared; ``None`` takes what the marks themselves say.
    Time before the first epoch counts once. Returns ``None`` while no epoch is complete on every
    node that reports, or where nothing says how many epochs there will be.
    """
    marks = list(records)
    done = _complete(marks)
    total = epochs_total or max((mark.epochs or 0 for mark in marks), default=0)
    if not done or total < 1:
        return None
    reporting = len({mark.node for mark in marks})
    scale = max(1.0, node_count / reporting)
    last = done[-1]
    remaining = max(0, total - last.number)
    ahead = done[1:] if len(done) >= _WARMED_UP else done
    pause_s = _mean_pause_ms(done) / _MS_PER_S
    start_up_s = max(0.0, done[0].start_ms / _MS_PER_S - started_at)
    elapsed_s = start_up_s + (last.end_ms - done[0].start_ms) / _MS_PER_S

    lengths = [epoch.length_ms / _MS_PER_S for epoch in ahead]
    duration_s = elapsed_s + remaining * (fmean(lengths) + pause_s)
    duration_half_s = _half_width(ahead, lengths, remaining, _DURATION_SD)

    joules = [epoch.millij / 1000 * scale for epoch in ahead]
    known_j = sum(epoch.millij for epoch in done) / 1000 * scale
    lost = last.number - done[0].number + 1 - len(done)
    known_j += lost * fmean(joules)
    power_w = fmean(joules) / fmean(lengths)
    outside_s = start_up_s + (last.number + remaining - done[0].number) * pause_s
    outside_j = outside_s * power_w
    energy_j = known_j + remaining * fmean(joules) + outside_j
    energy_half_j = _half_width(ahead, joules, remaining, _ENERGY_SD)

    return Prediction(
        source=PredictionSource.EPOCHS,
        samples=len(done),
        duration_s=max(1, round(duration_s)),
        duration_low_s=max(1, math.floor(max(elapsed_s, duration_s - duration_half_s))),
        duration_high_s=max(1, math.ceil(duration_s + duration_half_s)),
        energy_j=round(energy_j),
        energy_low_j=math.floor(max(known_j, energy_j - energy_half_j - outside_j)),
        energy_high_j=math.ceil(energy_j + energy_half_j),
        method=METHOD,
        explanation=_explanation(len(done), last.number, total, reporting, node_count),
    )


def _complete(marks: Iterable[EpochRecord]) -> list[_Epoch]:
    """The epochs that every reporting node has finished, in order; repeated records count once."""
    by_epoch: dict[int, dict[str, EpochRecord]] = defaultdict(dict)
    nodes = set()
    for mark in marks:
        by_epoch[mark.epoch].setdefault(mark.node, mark)
        nodes.add(mark.node)
    return [
        _merge(number, list(on_nodes.values()))
        for number, on_nodes in sorted(by_epoch.items())
        if len(on_nodes) == len(nodes)
    ]


def _merge(number: int, records: list[EpochRecord]) -> _Epoch:
    """Nodes run side by side: energies add up, time is from the first start to the last end."""
    return _Epoch(
        number=number,
        start_ms=min(record.started_ms for record in records),
        end_ms=max(record.started_ms + record.duration_ms for record in records),
        millij=sum(record.energy_millij for record in records),
        variance=max(_within_variance(record) for record in records),
    )


def _within_variance(record: EpochRecord) -> float:
    """The squared relative error of the epoch's mean, from the variation of its parts.

    Parts of an epoch follow one another and are alike, so n of them tell less than n independent
    ones would: the square root of n stands for their effective number.
    """
    if record.relative_sd is None or record.samples < 1:
        return 0.0
    return record.relative_sd**2 / math.sqrt(record.samples)


def _mean_pause_ms(done: list[_Epoch]) -> float:
    """Mean time between the end of an epoch and the start of the next, from neighbours only."""
    pauses = [
        max(0, after.start_ms - before.end_ms)
        for before, after in pairwise(done)
        if after.number == before.number + 1
    ]
    return fmean(pauses) if pauses else 0.0


def _half_width(
    epochs: list[_Epoch], values: list[float], remaining: int, prior_sd: float
) -> float:
    """Half the interval of the sum of the ``remaining`` epochs.

    Each deviates by s, and the mean they share is known from k epochs only:
    t x s x mean x sqrt(remaining + remaining^2 / k).
    """
    mean = fmean(values)
    if mean == 0 or remaining == 0:
        return 0.0
    within = fmean(epoch.variance for epoch in epochs)
    prior = Prior(sd=math.sqrt(prior_sd**2 + within), weight=_PRIOR_WEIGHT)
    width, _ = pooled_half_width([value / mean for value in values], prior)
    return width * mean * math.sqrt(remaining + remaining**2 / len(values))


def _explanation(seen: int, last: int, total: int, reporting: int, node_count: int) -> str:
    epochs = "its first epoch" if last == 1 else f"its {seen} epochs so far"
    if seen != last:
        epochs = f"{seen} of its epochs up to number {last}"
    words = f"from {epochs}, {total} in all"
    if reporting < node_count:
        words += f"; {reporting} of {node_count} nodes report epochs, the others taken to be alike"
    return words
