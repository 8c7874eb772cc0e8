"""A job's epochs over all of its nodes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from carbonsched.model.epoch import EpochPart, EpochRecord


@dataclass(frozen=True, slots=True)
class WholeEpoch:
    """One epoch over all of the job's nodes; ``relative_sd`` is its mean's relative error."""

    number: int
    start_ms: int
    end_ms: int
    millij: int
    steps: int
    relative_sd: float
    parts: tuple[EpochPart, ...]
    restarts: int

    @property
    def length_ms(self) -> int:
        """From the first start to the last end."""
        return self.end_ms - self.start_ms


def whole_epochs(records: Iterable[EpochRecord]) -> list[WholeEpoch]:
    """The epochs that every reporting node has finished, in order; repeated records count once."""
    by_epoch: dict[int, dict[str, EpochRecord]] = defaultdict(dict)
    nodes = set()
    for record in records:
        by_epoch[record.epoch].setdefault(record.node, record)
        nodes.add(record.node)
    return [
        _merge(number, list(on_nodes.values()))
        for number, on_nodes in sorted(by_epoch.items())
        if len(on_nodes) == len(nodes)
    ]


def _merge(number: int, records: list[EpochRecord]) -> WholeEpoch:
    """Nodes run side by side: energies add up, time is from the first start to the last end."""
    return WholeEpoch(
        number=number,
        start_ms=min(record.started_ms for record in records),
        end_ms=max(record.started_ms + record.duration_ms for record in records),
        millij=sum(record.energy_millij for record in records),
        steps=max(record.steps for record in records),
        relative_sd=max(_mean_deviation(record) for record in records),
        parts=_merged_parts([record.parts for record in records]),
        restarts=max(record.restarts for record in records),
    )


def _merged_parts(parts: list[tuple[EpochPart, ...]]) -> tuple[EpochPart, ...]:
    """Parts over all nodes: energies added up, the longest time; none unless all have as many."""
    if len({len(one) for one in parts}) > 1:
        return ()
    return tuple(
        EpochPart(
            duration_ms=max(part.duration_ms for part in side_by_side),
            energy_millij=sum(part.energy_millij for part in side_by_side),
        )
        for side_by_side in zip(*parts, strict=True)
    )


def _mean_deviation(record: EpochRecord) -> float:
    """The relative error of the epoch's mean, from the variation of its parts.

    Parts of an epoch follow one another and are alike, so n of them tell less than n independent
    ones would: the square root of n stands for their effective number.
    """
    if record.relative_sd is None or record.samples < 1:
        return 0.0
    return record.relative_sd / math.sqrt(math.sqrt(record.samples))
