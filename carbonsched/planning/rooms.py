"""The room of all clusters, by one reckoning of how long things take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from carbonsched.model.spread import Spread
from carbonsched.planning.capacity import Room
from carbonsched.planning.request import Busy, ClusterState, Place

CAREFUL = 0.8
TYPICAL = 0.6
"""Quantiles of lengths: where somebody may be late, and where nothing presses."""


class Rooms:
    """Counts jobs by the larger of their mean and a quantile of their length.

    By the mean at least, for a backlog lasts as long as the means, also where a few long runs make
    up most of the work.
    """

    def __init__(
        self,
        clusters: Sequence[ClusterState],
        now: int,
        until_at: int,
        slot_s: int,
        share: float,
    ) -> None:
        self._now = now
        self._share = share
        self._rooms = {one.name: Room(one.cpus, now, until_at, slot_s) for one in clusters}
        for cluster in clusters:
            room = self._rooms[cluster.name]
            for busy in cluster.busy:
                room.hold(now, self._until(busy), busy.cpus)
            for kept in cluster.reserved:
                room.hold(kept.start_at, kept.end_at, kept.cpus)

    def __getitem__(self, cluster: str) -> Room:
        return self._rooms[cluster]

    def length_s(self, length: Spread) -> int:
        """How long a job is counted."""
        return counted_s(length, self._share)

    def queue(self, places: Sequence[Place], from_at: int) -> tuple[int | None, Place]:
        """Count a job on the cluster that has room for it first, and when.

        ``None``, and the first of its places, where it fits nowhere in the time looked at.
        """
        at, place = self.first(places, from_at)
        if at is not None:
            self.take(place, at)
        return at, place

    def first(self, places: Sequence[Place], from_at: int) -> tuple[int | None, Place]:
        """Where and when a job would have room first; as :meth:`queue`."""
        found: list[tuple[int, int, Place]] = []
        for order, place in enumerate(places):
            at = self.first_at(place, from_at)
            if at is not None:
                found.append((at, order, place))
        if not found:
            return None, places[0]
        at, _, place = min(found, key=lambda one: one[:2])
        return at, place

    def first_at(self, place: Place, from_at: int) -> int | None:
        """When there is room for a job first; ``None`` where it never is in the time looked at."""
        length_s = self.length_s(place.length)
        return self._rooms[place.cluster].first_fit(from_at, length_s, math.ceil(place.cpus))

    def take(self, place: Place, start_at: int) -> None:
        """Count a job where it runs."""
        length_s = self.length_s(place.length)
        self._rooms[place.cluster].take(start_at, length_s, math.ceil(place.cpus))

    def _until(self, busy: Busy) -> int | None:
        if busy.left is not None:
            return self._now + max(1, math.ceil(busy.left.quantile_s(self._share)))
        return None if busy.until_at is None else max(busy.until_at, self._now + 1)


@lru_cache(maxsize=50_000)
def counted_s(length: Spread, share: float) -> int:
    """Whole seconds, at least one."""
    return max(1, math.ceil(max(length.mean_s, length.quantile_s(share))))
