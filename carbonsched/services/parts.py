"""A partition as a part of its cluster: its nodes, and what of jobs and reservations is on them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import Job
from carbonsched.model.placement import JobSize
from carbonsched.ports import Node, Partition, Reservation
from carbonsched.units import format_duration

_UP = "UP"


@dataclass(frozen=True)
class Part:
    """A partition and its nodes."""

    partition: Partition
    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, partition: Partition, nodes: Iterable[Node]) -> Part:
        """The part of a cluster's nodes that is the partition's."""
        return cls(partition, tuple(one for one in nodes if partition.name in one.partitions))

    def jobs(self, known: Iterable[KnownJob]) -> list[KnownJob]:
        """The jobs that are here or wait for it, each with its CPUs here."""
        here = ((one, self.job(one.job)) for one in known)
        return [replace(one, job=job) for one, job in here if job is not None]

    def job(self, job: Job) -> Job | None:
        """A job with what it holds here, whatever partition it is in; ``None`` where nothing.

        One without nodes is here if this is one of the partitions that it may go to.
        """
        if not (job.active and job.nodes):
            return job if self.partition.name in job.partition.split(",") else None
        held = tuple(node for node in job.nodes if node in self._names)
        if not held:
            return None
        return replace(job, nodes=held, cpus=math.ceil(job.cpus * len(held) / len(job.nodes)))

    def reservations(self, known: Iterable[Reservation]) -> tuple[Reservation, ...]:
        """Reservations as far as they keep nodes of it; of some CPUs, the share of its nodes."""
        found = []
        for one in known:
            kept = tuple(node for node in one.nodes if node in self._names)
            share = len(kept) / max(1, len(one.nodes))
            cpus = None if one.cpus is None else math.ceil(one.cpus * share)
            if kept:
                found.append(replace(one, nodes=kept, cpus=cpus))
        return tuple(found)

    def refusal(self, size: JobSize) -> str | None:
        """Why Slurm would not run a job of that size here; ``None`` where it would."""
        partition, limit_s = self.partition, size.time_limit_s
        if partition.state != _UP:
            return f"it is {partition.state}"
        if limit_s is not None and limit_s > (partition.max_time_s or math.inf):
            most = format_duration(partition.max_time_s or 0)
            return f"the job's time limit {format_duration(limit_s)} is beyond its {most}"
        if size.node_count > (partition.max_nodes or math.inf):
            return f"it takes jobs of at most {partition.max_nodes} nodes"
        if size.nodes is not None and size.nodes < partition.min_nodes:
            return f"it takes jobs of at least {partition.min_nodes} nodes"
        return _too_large(size, [one.cpus for one in self.nodes if one.available])

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(one.name for one in self.nodes)


def _too_large(size: JobSize, nodes: Sequence[int]) -> str | None:
    """Why these nodes, told by their CPUs, cannot hold a job."""
    each = (size.tasks_per_node or 1) * (size.cpus_per_task or 1)
    able = sorted((cpus for cpus in nodes if cpus >= each), reverse=True)
    if size.node_count > len(able):
        of_cpus = "" if each == 1 else f" with {each} CPUs"
        return f"the job's {size.node_count} nodes{of_cpus} are more than the {len(able)} it has"
    most = sum(able[: size.nodes])
    if size.cpus > most:
        where = "it has" if size.nodes is None else f"its largest {size.nodes} nodes have"
        return f"the job's {size.cpus} CPUs are more than the {most} {where}"
    return None
