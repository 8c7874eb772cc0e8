"""Prediction from a training job's own epochs: those done, and the remaining ones like them.

The formulas and why they are so: docs/explanation/prediction.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from carbonsched.model.epoch import EpochRecord
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.prediction import course
from carbonsched.prediction.whole_epochs import WholeEpoch, whole_epochs

METHOD = f"{course.METHOD}/{course.VERSION}"
_MS_PER_S = 1000
_FEW = 10
"""With more epochs of its own a job tells more than earlier trainings do."""


@dataclass(frozen=True, slots=True)
class EarlierTraining:
    """The epochs of a training like a job's, of the same owner, which ran to its own end."""

    records: tuple[EpochRecord, ...]
    node_count: int

    @property
    def epochs_total(self) -> int:
        """How many it was to have, as its marks said; 0 where they did not."""
        return max((record.epochs or 0 for record in self.records), default=0)

    def log(self) -> list[course.Epoch]:
        """Its epochs from the first on; none where one in between is not known."""
        done = whole_epochs(self.records)
        if [one.number for one in done] != list(range(1, len(done) + 1)):
            return []
        return _all_costs(done, _scale(self.records, self.node_count))


def from_epochs(
    records: Iterable[EpochRecord],
    *,
    epochs_total: int | None,
    started_at: int,
    node_count: int = 1,
    validate_every: int | None = None,
    earlier: Sequence[EarlierTraining] = (),
) -> Prediction | None:
    """Predict the whole job from its epochs so far, of one run on all its nodes.

    ``epochs_total`` is what the owner declared; ``None`` takes what the marks themselves say.
    Time before the first epoch counts once, and pauses as they were on average. ``validate_every``
    is the declared period of heavier epochs. Of ``earlier`` trainings the epochs count as long as
    the job itself has told few, and when they ended if they were to be as long. Returns ``None``
    while no epoch is complete on every node that reports, or where nothing says how many epochs
    there will be.
    """
    marks = list(records)
    done = whole_epochs(marks)
    total = epochs_total or max((mark.epochs or 0 for mark in marks), default=0)
    if not done or total < 1:
        return None
    reporting = len({mark.node for mark in marks})
    scale = _scale(marks, node_count)
    first, last = done[0], done[-1]
    remaining = max(0, total - last.number)
    pause_s = _mean_pause_ms(done) / _MS_PER_S
    start_up_s = max(0.0, first.start_ms / _MS_PER_S - started_at)
    elapsed_s = start_up_s + (last.end_ms - first.start_ms) / _MS_PER_S
    logs = [(log, one.epochs_total) for one in earlier if (log := one.log())]
    found = course.foresee(
        _all_costs(done, scale),
        max(total, last.number),
        validate_every=validate_every,
        earlier=[log for log, _ in logs] if len(done) <= _FEW else (),
        ended_after=[log[-1].number for log, declared in logs if declared == total],
    )
    marked_s = sum(epoch.length_ms for epoch in done) / _MS_PER_S
    duration = found.seconds.plus(elapsed_s + remaining * pause_s - marked_s)

    known_j = sum(epoch.millij for epoch in done) / 1000 * scale
    lost = last.number - first.number + 1 - len(done)
    lost_j = lost * known_j / len(done)
    outside_s = start_up_s + (last.number + remaining - first.number) * pause_s
    outside_j = outside_s * known_j / marked_s
    energy = found.joules.plus(lost_j + outside_j)

    return Prediction(
        source=PredictionSource.EPOCHS,
        samples=len(done),
        duration_s=max(1, round(duration.mean)),
        duration_low_s=max(1, math.floor(max(elapsed_s, duration.p05))),
        duration_p25_s=max(1, math.floor(max(elapsed_s, duration.p25))),
        duration_p75_s=max(1, math.ceil(duration.p75)),
        duration_high_s=max(1, math.ceil(duration.p95)),
        energy_j=round(energy.mean),
        energy_low_j=math.floor(max(known_j + lost_j, energy.p05 - outside_j)),
        energy_p25_j=math.floor(max(known_j + lost_j, energy.p25 - outside_j / 2)),
        energy_p75_j=math.ceil(energy.p75),
        energy_high_j=math.ceil(energy.p95),
        method=METHOD,
        explanation=_explanation(len(done), last.number, total, reporting, node_count, found),
    )


def _scale(records: Iterable[EpochRecord], node_count: int) -> float:
    """By how much a job's nodes are more than those that tell of its epochs."""
    return max(1.0, node_count / len({record.node for record in records}))


def _all_costs(done: Sequence[WholeEpoch], scale: float) -> list[course.Epoch]:
    return [
        _costs(epoch, scale, resumed=before is not None and before.restarts < epoch.restarts)
        for before, epoch in zip((None, *done), done, strict=False)
    ]


def _costs(epoch: WholeEpoch, scale: float, *, resumed: bool) -> course.Epoch:
    return course.Epoch(
        number=epoch.number,
        cost=course.Cost(epoch.length_ms / _MS_PER_S, epoch.millij / 1000 * scale),
        parts=tuple(
            course.Cost(part.duration_ms / _MS_PER_S, part.energy_millij / 1000 * scale)
            for part in epoch.parts
        ),
        relative_sd=min(epoch.relative_sd, 1.0),
        resumed=resumed,
    )


def _mean_pause_ms(done: list[WholeEpoch]) -> float:
    """Mean time between the end of an epoch and the start of the next, from neighbours only."""
    pauses = [
        max(0, after.start_ms - before.end_ms)
        for before, after in pairwise(done)
        if after.number == before.number + 1
    ]
    return fmean(pauses) if pauses else 0.0


def _explanation(
    seen: int, last: int, total: int, reporting: int, node_count: int, found: course.Foreseen
) -> str:
    epochs = "its first epoch" if last == 1 else f"its {seen} epochs so far"
    if seen != last:
        epochs = f"{seen} of its epochs up to number {last}"
    words = f"from {epochs}, {total} in all"
    if found.warm_parts:
        words += "; its first epoch's warm-up counts once"
    if found.earlier:
        words += f"; as {found.earlier} earlier training{'s' if found.earlier > 1 else ''} went on"
    if found.stops:
        words += f"; of those before, {found.stops} stopped early"
    if reporting < node_count:
        words += f"; {reporting} of {node_count} nodes report epochs, the others taken to be alike"
    return words
