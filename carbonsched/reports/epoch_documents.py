"""The document of ``GET /v1/epochs``, and epochs as the lines of a log.

Names ending ``_ms`` and ``_millij`` are whole milliseconds and millijoules, at the meter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict, cast

from carbonsched.reports.conformity import conform

BY_EPOCH = "epoch,duration_s,energy_j"
BY_PART = "epoch,part,parts,steps,duration_s,energy_j"


class EpochRow(TypedDict):
    """One epoch over all of the job's nodes; each of ``parts`` is milliseconds and millijoules."""

    epoch: int
    restarts: int
    started_ms: int
    duration_ms: int
    energy_millij: int
    steps: int
    parts: list[list[int]]


class JobEpochs(TypedDict):
    """A job, a task or a component, with the epochs of all its runs."""

    cluster: str
    job_id: int
    shown_id: str
    user: str
    name: str
    epochs: list[EpochRow]


class EpochsDocument(TypedDict):
    """``GET /v1/epochs``."""

    jobs: list[JobEpochs]


def read_epochs(answer: Any) -> EpochsDocument:
    """The answer as an epochs document; ``DaemonError`` where it is not one."""
    conform(answer, EpochsDocument, "")
    return cast("EpochsDocument", answer)


def by_epoch(epochs: Sequence[EpochRow]) -> Iterator[str]:
    """The lines of a log by epochs."""
    yield BY_EPOCH
    for one in epochs:
        yield f"{one['epoch']},{_milli(one['duration_ms'])},{_milli(one['energy_millij'])}"


def by_part(epochs: Sequence[EpochRow]) -> Iterator[str]:
    """The lines of a log by parts; an epoch without any is one part."""
    yield BY_PART
    for one in epochs:
        parts = one["parts"] or [[one["duration_ms"], one["energy_millij"]]]
        head = f"{len(parts)},{one['steps'] // len(parts)}"
        for number, (ms, millij) in enumerate(parts, 1):
            yield f"{one['epoch']},{number},{head},{_milli(ms)},{_milli(millij)}"


def _milli(thousandths: int) -> str:
    """Whole thousandths as a decimal, exactly."""
    return f"{thousandths // 1000}.{thousandths % 1000:03}"
