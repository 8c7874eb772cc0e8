"""CPUs that reservations and maintenance keep from ordinary jobs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from carbonsched.errors import ClusterError, ClusterUnavailableError
from carbonsched.model.job import Job
from carbonsched.planning import Reserved
from carbonsched.ports import Cluster, Node, Reservation

AGAIN_AFTER_S = 60
_LOGGER = logging.getLogger(__name__)


class Reservations:
    """What Slurm told of them, asked for at most once a minute of each cluster."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, tuple[Reservation, ...]]] = {}

    def of(self, cluster: Cluster, now: int) -> tuple[Reservation, ...]:
        """The cluster's reservations; none where Slurm's answer cannot be read.

        Raises:
            ClusterUnavailableError: slurmctld does not answer.
        """
        asked_at, known = self._known.get(cluster.name, (None, ()))
        if asked_at is not None and now - asked_at < AGAIN_AFTER_S:
            return known
        try:
            known = tuple(cluster.reservations())
        except ClusterUnavailableError:
            raise
        except ClusterError as error:
            # Plans without them are better than none: Slurm keeps to its reservations anyway.
            _LOGGER.warning("cluster %s: planning without reservations: %s", cluster.name, error)
            known = ()
        self._known[cluster.name] = now, known
        return known


class ReservedRoom:
    """One cluster's reservations beside its nodes, as a planner counts CPUs."""

    def __init__(
        self, reservations: Sequence[Reservation], nodes: Sequence[Node], now: int
    ) -> None:
        self._reservations = reservations
        self._now = now
        self._all = {node.name: node.cpus for node in nodes}
        back = self._kept()
        self._open = {
            node.name: node.cpus
            for node in nodes
            if node.available or (node.maintained and node.name in back)
        }

    @property
    def cpus(self) -> int:
        """Those of nodes that take work, now or when the maintenance that is on is over."""
        return sum(self._open.values())

    def until(self, until_at: int) -> tuple[Reserved, ...]:
        """Each time in ``[now, until_at)`` that nodes which take work otherwise are reserved."""
        found = []
        for one in self._reservations:
            held = self._held(one)
            if not held:
                continue
            starts = range(one.start_at, until_at, one.every_s) if one.every_s else (one.start_at,)
            for start_at in starts:
                end_at = start_at + one.end_at - one.start_at
                if start_at < until_at and end_at > self._now:
                    first_at = max(start_at, self._now)
                    found.append(Reserved(cpus=held, start_at=first_at, end_at=end_at))
        return tuple(found)

    def outside(self, job: Job) -> int:
        """The CPUs of a running job that no reservation counts already: those on other nodes."""
        kept = self._kept()
        if kept.isdisjoint(job.nodes):
            return job.cpus
        return job.cpus * sum(node not in kept for node in job.nodes) // len(job.nodes)

    def _kept(self) -> frozenset[str]:
        """The nodes that reservations have to themselves now."""
        return frozenset(
            node
            for one in self._reservations
            if one.start_at <= self._now < one.end_at and self._whole(one)
            for node in one.nodes
        )

    def _whole(self, one: Reservation) -> bool:
        """Whether it has its nodes to itself, not only some of their CPUs."""
        return one.cpus is None or one.cpus >= _sum(one, self._all)

    def _held(self, one: Reservation) -> int:
        whole = _sum(one, self._open)
        return whole if one.cpus is None else min(whole, one.cpus)


def _sum(one: Reservation, cpus: Mapping[str, int]) -> int:
    return sum(cpus.get(node, 0) for node in set(one.nodes))
