"""Jobs whose intensity was revised are settled again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from carbonsched.ledger import Ledger
from carbonsched.model.intensity import IntensitySeries, Point
from carbonsched.ports import Clock
from carbonsched.services.managed import Clusters

REVISED_WITHIN_S = 62 * 86_400
"""How long after its end a job still follows revisions: settled values come a month late."""


class KeepActuals:
    """Archives what providers tell, and opens the final jobs that it touches.

    Both happen in one transaction, so that no revision is kept without its jobs hearing of it.
    """

    def __init__(self, clusters: Clusters, ledger: Ledger, clock: Clock) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._clock = clock

    def keep(self, series: IntensitySeries) -> int:
        """Keep what is new or revised; returns how many values were."""
        with self._ledger.transaction():
            fresh = self._ledger.archive.keep(series)
            since_at = self._clock.now() - REVISED_WITHIN_S
            for start_at, end_at in _stretches(fresh):
                for managed in self._clusters:
                    if managed.zone == series.info.zone:
                        self._ledger.entries.reopen_between(
                            managed.name, start_at, end_at, since_at
                        )
        return len(fresh)


def _stretches(points: Iterable[Point]) -> Iterator[tuple[int, int]]:
    """Points that touch as one interval."""
    held: tuple[int, int] | None = None
    for point in sorted(points, key=lambda one: one.start_at):
        if held is not None and point.start_at <= held[1]:
            held = (held[0], max(held[1], point.end_at))
            continue
        if held is not None:
            yield held
        held = (point.start_at, point.end_at)
    if held is not None:
        yield held
