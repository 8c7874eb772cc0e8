"""Finding the prices of CPUs on all clusters at once, from what waits and what is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from carbonsched.planning.ahead import Ahead
from carbonsched.planning.lengths import Floats, Lengths
from carbonsched.planning.prices import Demand, clearing_prices
from carbonsched.planning.request import Busy, ClusterState, Place, Prices


@dataclass(frozen=True, slots=True)
class Bid:
    """Who competes: on which clusters, and for which starts ``[first_at, last_at]``."""

    places: tuple[Place, ...]
    first_at: int
    last_at: int


class Market:
    """The clusters that can be weighed against each other; slots from ``base_at`` on."""

    def __init__(
        self,
        lengths: Lengths,
        base_at: int,
        clusters: Sequence[ClusterState],
        ahead: Mapping[str, Ahead],
    ) -> None:
        self._lengths = lengths
        self._base_at = base_at
        self._clusters = [cluster for cluster in clusters if cluster.name in ahead]
        self._ahead = ahead

    def prices(self, bids: Sequence[Bid], before: Prices | None) -> Prices:
        """What a CPU is worth by cluster and slot: milligrams, as :class:`Ahead` has them."""
        known = self._carried(before)
        if known is not None and before is not None and before.made_at == self._base_at:
            return before
        asked = [bid for bid in bids if self._has_place(bid)]
        free = np.array([self._free(cluster) for cluster in self._clusters])
        found = clearing_prices(self._lengths, self._demand(asked), free, known)
        by_cluster = {one.name: row for one, row in zip(self._clusters, found, strict=True)}
        return Prices(made_at=self._base_at, by_cluster=by_cluster)

    def _has_place(self, bid: Bid) -> bool:
        return any(_place_on(bid, cluster.name) for cluster in self._clusters)

    def _carried(self, before: Prices | None) -> Floats | None:
        """The prices of the plan before as they are now; none where the clusters were others."""
        if before is None:
            return None
        known = [before.by_cluster.get(cluster.name) for cluster in self._clusters]
        rows = [row for row in known if row is not None and len(row) == self._lengths.horizon]
        if len(rows) < len(known):
            return None
        slots = np.arange(self._lengths.horizon)
        later = slots + (self._base_at - before.made_at) / self._lengths.slot_s
        return np.array([np.interp(later, slots, row) for row in rows])

    def _demand(self, bids: Sequence[Bid]) -> Demand:
        shape = (len(self._clusters), len(bids))
        cpus = np.zeros(shape)
        rows = np.zeros((*shape, len(self._lengths.slots)))
        rows[:, :, 0] = 1.0
        cost = np.full((*shape, self._lengths.horizon), np.inf)
        slots = np.arange(self._lengths.horizon)
        first, last = (
            np.clip(
                (np.array(ats, dtype=np.int64) - self._base_at) // self._lengths.slot_s,
                0,
                self._lengths.horizon - 1,
            )[:, None]
            for ats in ([bid.first_at for bid in bids], [bid.last_at for bid in bids])
        )
        allowed = (slots >= first) & (slots <= np.maximum(first, last))
        for index, cluster in enumerate(self._clusters):
            here = [_place_on(bid, cluster.name) for bid in bids]
            which = [number for number, place in enumerate(here) if place is not None]
            places = [place for place in here if place is not None]
            if not places:
                continue
            cpus[index, which] = [place.cpus for place in places]
            rows[index, which] = [self._lengths.row(place.length) for place in places]
            carbon = self._ahead[cluster.name].carbon(places)
            cost[index, which] = np.where(allowed[which], carbon, np.inf)
        return Demand(cpus=cpus, lengths=rows, cost=cost)

    def _free(self, cluster: ClusterState) -> Floats:
        """CPUs that running jobs and reservations are expected to leave, by slot."""
        held = np.zeros(self._lengths.horizon)
        for busy in cluster.busy:
            held += busy.cpus * self._there(busy)
        starts = self._base_at + self._lengths.slot_s * np.arange(self._lengths.horizon)
        for kept in cluster.reserved:
            ends = np.minimum(starts + self._lengths.slot_s, kept.end_at)
            share = np.maximum(0, ends - np.maximum(starts, kept.start_at)) / self._lengths.slot_s
            held += kept.cpus * share
        free: Floats = np.maximum(0.0, cluster.cpus - held)
        return free

    def _there(self, busy: Busy) -> Floats:
        if busy.left is not None:
            return self._lengths.remaining(self._lengths.row(busy.left))
        if busy.until_at is None:
            return np.ones(self._lengths.horizon)
        slots = (busy.until_at - self._base_at) / self._lengths.slot_s
        there: Floats = np.clip(slots - np.arange(self._lengths.horizon), 0.0, 1.0)
        return there


def _place_on(bid: Bid, cluster: str) -> Place | None:
    for place in bid.places:
        if place.cluster == cluster and place.cpus and place.watts:
            return place
    return None
