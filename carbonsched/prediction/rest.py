"""A job that runs in pieces as one job: what is left of it, by what is known of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean

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
    rest = whole.each(
        duration=lambda one: max(1, duration_s + round((one - whole.duration_s) * width)),
        energy=lambda one: max(0, energy_j + round((one - whole.energy_j) * width)),
    )
    words = f"{whole.explanation}; this run goes on after a stop, so what is left of it"
    return replace(rest, explanation=words)


@dataclass(frozen=True, slots=True)
class OneJob:
    """Epochs of all runs of a job as if they were of one run, which began ``before_s`` earlier.

    ``before`` of the epochs are of earlier runs, and took ``before_j``; this run's took ``own_j``.
    """

    records: tuple[EpochRecord, ...]
    before: int
    before_s: int
    before_j: int
    own_j: int

    def of_this_run(self, whole: Prediction) -> Prediction:
        """This run's share in a prediction that is made from all of them: what is not before it."""
        rest = whole.each(
            duration=lambda one: max(1, one - self.before_s),
            energy=lambda one: max(self.own_j, one - self.before_j),
        )
        words = f", {self.before} of them in runs before this, of which this is the rest"
        return replace(rest, explanation=whole.explanation + words)


def as_one(
    earlier: Sequence[EpochRecord], own: Sequence[EpochRecord], node_count: int
) -> OneJob | None:
    """The epochs of earlier runs before those of this one, where both can be told as one run.

    The earlier come without the time between the runs, right before this run's first: a start
    counts once, and a stop counts as a pause like those between epochs of one run. An epoch that
    this run did again is this run's. A run on other nodes is taken to be on this one's, if they are
    as many. Nodes of ``node_count`` that tell nothing are taken to be alike. ``None`` where nothing
    can be joined.
    """
    if not own:
        return None
    first = min(record.epoch for record in own)
    nodes = sorted({record.node for record in own})
    told = _by_number(record for record in earlier if record.epoch < first)
    before = [one for one in told if len(one.records) == len(nodes)]
    if not before:
        return None
    following = _by_number(own)
    usual_ms = _usual_pause_ms([*before, *following])
    scale = max(1.0, node_count / len(nodes))
    at_ms = following[0].start_ms
    placed: list[EpochRecord] = []
    for one, after in reversed(list(pairwise([*before, following[0]]))):
        pause_ms = _pause_ms(one, after)
        at_ms -= one.length_ms + (usual_ms if pause_ms is None else pause_ms)
        placed += [
            replace(record, node=node, started_ms=at_ms + record.started_ms - one.start_ms)
            for record, node in zip(one.records, nodes, strict=True)
        ]
    before_ms = following[0].start_ms - at_ms
    return OneJob(
        records=(*sorted(placed, key=lambda one: (one.epoch, one.node)), *own),
        before=len(before),
        before_s=round(before_ms / _MILLI),
        before_j=round(_whole_millij(before, first, before_ms, usual_ms) * scale / _MILLI),
        own_j=sum(record.energy_millij for record in own) // _MILLI,
    )


@dataclass(frozen=True, slots=True)
class _Epoch:
    """One epoch of one run, on the nodes that told it in the order of their names."""

    number: int
    restarts: int
    records: tuple[EpochRecord, ...]

    @property
    def start_ms(self) -> int:
        return min(record.started_ms for record in self.records)

    @property
    def length_ms(self) -> int:
        return max(one.started_ms + one.duration_ms for one in self.records) - self.start_ms


def _by_number(records: Iterable[EpochRecord]) -> list[_Epoch]:
    """Each epoch as the last run that told it did, each node once."""
    found: dict[int, dict[str, EpochRecord]] = {}
    for record in sorted(records, key=lambda one: (one.epoch, one.restarts, one.started_ms)):
        on_nodes = found.setdefault(record.epoch, {})
        if any(known.restarts != record.restarts for known in on_nodes.values()):
            on_nodes.clear()
        on_nodes[record.node] = record
    return [
        _Epoch(
            number, next(iter(nodes.values())).restarts, tuple(nodes[one] for one in sorted(nodes))
        )
        for number, nodes in sorted(found.items())
    ]


def _pause_ms(one: _Epoch, after: _Epoch) -> int | None:
    """From the end of an epoch to the start of the next, which only one run's neighbours show."""
    if (after.restarts, after.number) != (one.restarts, one.number + 1):
        return None
    return max(0, after.start_ms - one.start_ms - one.length_ms)


def _usual_pause_ms(epochs: Sequence[_Epoch]) -> int:
    pauses = [pause for pair in pairwise(epochs) if (pause := _pause_ms(*pair)) is not None]
    return round(fmean(pauses)) if pauses else 0


def _whole_millij(before: Sequence[_Epoch], first: int, before_ms: int, usual_ms: int) -> float:
    """What they took with their pauses, at their power, as :func:`from_epochs` reckons it.

    It takes epochs that nobody told to be like the others, though it leaves their time out.
    """
    told_millij = sum(record.energy_millij for one in before for record in one.records)
    marked_ms = sum(one.length_ms for one in before)
    lost = first - before[0].number - len(before)
    outside_ms = before_ms - marked_ms + lost * usual_ms
    return told_millij * (1 + lost / len(before) + outside_ms / marked_ms)
