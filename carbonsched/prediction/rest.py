"""A job that runs in pieces as one job: what is left of it, by what is known of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from carbonsched.model.epoch import EpochRecord
from carbonsched.model.prediction import Prediction, PredictionSource

_MILLI = 1000


def rest_of(whole: Prediction, left_s: int, cost_s: int) -> Prediction:
    """The prediction of what is left, at the whole's power, and of what the stop costs on top.

    Where epochs told, what is not known of the whole is not known of the rest: the intervals stay
    as wide. Of other runs' lengths a part is as uncertain as the whole, in proportion.
    """
    duration_s = left_s + cost_s
    share = duration_s / whole.duration_s
    energy_j = max(1, round(whole.energy_j * share))
    by_epochs = whole.source is PredictionSource.EPOCHS
    width = min(1.0, 1.0 if by_epochs else share)
    short_s = round((whole.duration_s - whole.duration_low_s) * width)
    long_s = round((whole.duration_high_s - whole.duration_s) * width)
    short_j = round((whole.energy_j - whole.energy_low_j) * width)
    long_j = round((whole.energy_high_j - whole.energy_j) * width)
    return replace(
        whole,
        duration_s=duration_s,
        duration_low_s=max(1, duration_s - short_s),
        duration_high_s=duration_s + long_s,
        energy_j=energy_j,
        energy_low_j=max(0, energy_j - short_j),
        energy_high_j=energy_j + long_j,
        explanation=f"{whole.explanation}; this run goes on after a stop, so what is left of it",
    )


@dataclass(frozen=True, slots=True)
class OneJob:
    """Epochs of all runs of a job as if they were of one run, which began ``before_s`` earlier.

    ``before`` of the epochs are of earlier runs, and took ``before_j``.
    """

    records: tuple[EpochRecord, ...]
    before: int
    before_s: int
    before_j: int

    def of_this_run(self, whole: Prediction) -> Prediction:
        """This run's share in a prediction that is made from all of them: what is not before it."""
        spent_s, spent_j = self.before_s, self.before_j
        words = f", {self.before} of them in runs before this, of which this is the rest"
        return replace(
            whole,
            duration_s=max(1, whole.duration_s - spent_s),
            duration_low_s=max(1, whole.duration_low_s - spent_s),
            duration_high_s=max(1, whole.duration_high_s - spent_s),
            energy_j=max(0, whole.energy_j - spent_j),
            energy_low_j=max(0, whole.energy_low_j - spent_j),
            energy_high_j=max(0, whole.energy_high_j - spent_j),
            explanation=whole.explanation + words,
        )


def as_one(
    earlier: Sequence[EpochRecord], own: Sequence[EpochRecord], node_count: int
) -> OneJob | None:
    """The epochs of earlier runs before those of this one, where both can be told as one run.

    The earlier come without the time between them, right before this run's first, so that a start
    counts once and no stop counts as a pause. An epoch that this run did again is this run's. A
    run on other nodes is taken to be on this one's, if they are as many. Nodes of ``node_count``
    that tell nothing are taken to be alike. ``None`` where nothing can be joined.
    """
    if not own:
        return None
    first = min(record.epoch for record in own)
    before = _whole_epochs(record for record in earlier if record.epoch < first)
    nodes = sorted({record.node for record in own})
    if not before or any(len(records) != len(nodes) for records in before):
        return None
    at_ms = began_ms = min(record.started_ms for record in own)
    placed: list[EpochRecord] = []
    for records in reversed(before):
        length_ms = max(record.started_ms + record.duration_ms for record in records) - min(
            record.started_ms for record in records
        )
        shift_ms = at_ms - length_ms - min(record.started_ms for record in records)
        at_ms -= length_ms
        placed += [
            replace(record, node=node, started_ms=record.started_ms + shift_ms)
            for record, node in zip(records, nodes, strict=True)
        ]
    scale = max(1.0, node_count / len(nodes))
    return OneJob(
        records=(*sorted(placed, key=lambda one: (one.epoch, one.node)), *own),
        before=len(before),
        before_s=round((began_ms - at_ms) / _MILLI),
        before_j=round(sum(record.energy_millij for record in placed) * scale / _MILLI),
    )


def _whole_epochs(records: Iterable[EpochRecord]) -> list[list[EpochRecord]]:
    """By number, each node once and in the order of names: the last that was told of it."""
    found: dict[int, dict[str, EpochRecord]] = {}
    for record in sorted(records, key=lambda one: (one.epoch, one.restarts, one.started_ms)):
        on_nodes = found.setdefault(record.epoch, {})
        if any(known.restarts != record.restarts for known in on_nodes.values()):
            on_nodes.clear()
        on_nodes[record.node] = record
    return [[nodes[name] for name in sorted(nodes)] for _, nodes in sorted(found.items())]
