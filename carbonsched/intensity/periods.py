"""From rows as they came to points in order without overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar

from carbonsched.model.intensity import Point


class Timed(Protocol):
    """Anything that holds over ``[start_at, end_at)``; equal ones say the same."""

    @property
    def start_at(self) -> int:
        """When it begins."""
        ...

    @property
    def end_at(self) -> int:
        """When it is over."""
        ...


_Timed = TypeVar("_Timed", bound=Timed)


class ContradictionError(ValueError):
    """Two rows tell different things of the same time; ``at`` is when."""

    def __init__(self, at: int) -> None:
        super().__init__("two rows contradict each other")
        self.at = at


def ordered(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points sorted, equal ones once.

    Raises:
        ContradictionError: two of them overlap and are not equal.
    """
    unique = sorted(set(points), key=lambda point: (point.start_at, point.end_at))
    for before, after in pairwise(unique):
        if after.start_at < before.end_at:
            raise ContradictionError(after.start_at)
    return tuple(unique)


def without_contradictions(points: Iterable[_Timed]) -> tuple[tuple[_Timed, ...], int]:
    """The points sorted, equal ones once, and how many were left out for overlapping.

    A service once published two values for one half-hour and kept both for years. Neither is
    better, so both are missing.
    """
    unique = sorted(set(points), key=lambda point: (point.start_at, point.end_at))
    contested: set[_Timed] = set()
    reaching: _Timed | None = None
    for point in unique:
        if reaching is not None and point.start_at < reaching.end_at:
            contested |= {point, reaching}
        if reaching is None or point.end_at > reaching.end_at:
            reaching = point
    return tuple(point for point in unique if point not in contested), len(contested)


def usual_step(runs: Iterable[Sequence[int]]) -> int | None:
    """The commonest distance between neighbouring starts, the shortest of equally common ones.

    Each run is sorted and without repeats; ``None`` where no run has two starts.
    """
    counts = Counter(after - before for run in runs for before, after in pairwise(run))
    if not counts:
        return None
    return min(counts, key=lambda step: (-counts[step], step))


def uncovered(points: Iterable[Point], start_at: int, end_at: int) -> list[tuple[int, int]]:
    """The stretches of ``[start_at, end_at)`` that no point covers, in order."""
    gaps = []
    reached = start_at
    for point in sorted(points, key=lambda one: one.start_at):
        if point.start_at >= end_at:
            break
        if point.start_at > reached:
            gaps.append((reached, point.start_at))
        reached = max(reached, point.end_at)
    if reached < end_at:
        gaps.append((reached, end_at))
    return gaps
