"""What a job would draw above idle, and how long it would run, on some nodes of a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import CompletedRun, KnownJob
from carbonsched.model.job import Job
from carbonsched.ports import Node
from carbonsched.prediction.kinds import Figures, Kind, KindRun, Nodes, figures
from carbonsched.services.managed import ManagedCluster
from carbonsched.services.predict import HISTORY_S
from carbonsched.site import NodeClass

MOST_RUNS = 2000
"""Of everybody's runs the newest tell how kinds of nodes compare."""


class NodeKinds:
    """The kinds of a cluster's nodes, and what the ledger knows of runs on them.

    A kind is a class of nodes in the configuration; nodes in none are alike that are in the same
    partitions. It is for one question: what it reads is kept for all partitions of that.
    """

    def __init__(
        self, ledger: Ledger, managed: ManagedCluster, nodes: Iterable[Node], now: int
    ) -> None:
        self._ledger = ledger
        self._managed = managed
        self._since_at = now - HISTORY_S
        self._partitions = {one.name: one.partitions for one in nodes}

    def figures(self, known: KnownJob, nodes: Sequence[Node]) -> Figures:
        """Of a job on nodes that take work, from its owner's runs and from everybody's."""
        job = known.job
        cpus: Counter[Kind] = Counter()
        for node in nodes:
            if node.available:
                cpus[self.kind(node.name)] += node.cpus
        declared_w: dict[Kind, float] = {
            one: _above_idle_w(one) for one in self._managed.node_classes
        }
        return figures(
            Nodes(cpus=cpus, declared_w=declared_w),
            self._own(job.user), self._everybody,
            user=job.user, name=job.name, cpus=job.cpus,
            script=known.directives.script_digest if known.directives else None,
        )  # fmt: skip

    def _own(self, user: str) -> list[KindRun]:
        runs = self._ledger.jobs.completed(user, self._since_at)
        return self._runs(one for one in runs if one.job.key.cluster == self._managed.name)

    @cached_property
    def _everybody(self) -> Iterable[KindRun]:
        return self._runs(
            self._ledger.jobs.completed_on(self._managed.name, self._since_at, MOST_RUNS)
        )

    def _runs(self, runs: Iterable[CompletedRun]) -> list[KindRun]:
        found = []
        for run in runs:
            job = run.job
            if job.started_at is None or job.ended_at is None or not job.nodes:
                continue
            ran_s = job.ended_at - job.started_at
            found.append(
                KindRun(
                    user=job.user,
                    name=job.name,
                    cpus=job.cpus,
                    ended_at=job.ended_at,
                    duration_s=run.done_s + ran_s,
                    energy_j=self._above_idle_j(job, run.energy_j, ran_s),
                    script=run.script_digest,
                    kinds=frozenset(map(self.kind, job.nodes)),
                )
            )
        return found

    def _above_idle_j(self, job: Job, energy_j: int | None, ran_s: int) -> int | None:
        """Energy less the share of its nodes' idle power; ``None`` where either is not known.

        Slurm tells a run in whole seconds: of one of seconds it is a rough figure.
        """
        classes = [self._managed.class_of(node) for node in job.nodes]
        idle_w = [one.idle_w / one.cpus for one in classes if one is not None]
        if energy_j is None or len(idle_w) < len(classes):
            return None
        return max(0, round(energy_j - ran_s * job.cpus * sum(idle_w) / len(idle_w)))

    def kind(self, node: str) -> Kind:
        """What a node is like: its class, else its partitions."""
        return self._managed.class_of(node) or self._partitions.get(node, ())


def _above_idle_w(one: NodeClass) -> float:
    """Of one CPU, as declared."""
    return (one.max_w - one.idle_w) / one.cpus
