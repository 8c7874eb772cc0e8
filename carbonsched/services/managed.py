"""A cluster with what the site's configuration says about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from carbonsched.accounting import Embodied
from carbonsched.errors import ClusterError, ClusterUnavailableError, RequestError
from carbonsched.model.hostlist import expand
from carbonsched.ports import Cluster, Pue
from carbonsched.site import NodeClass


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedCluster:
    """A Slurm cluster, its grid zone, its facility's PUE, its nodes' power and embodied carbon."""

    cluster: Cluster
    zone: str
    pue: Pue
    node_classes: tuple[NodeClass, ...] = ()
    embodied: Embodied | None = None
    _by_node: dict[str, NodeClass] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.node_classes:
            self._by_node.update(dict.fromkeys(expand(one.nodes), one))

    @property
    def name(self) -> str:
        """Slurm's ClusterName."""
        return self.cluster.name

    @property
    def pue_ppm(self) -> int:
        """The PUE to plan with now; what is charged has that of its time."""
        return self.pue.now_ppm

    def classes_of(self, nodes: Sequence[str]) -> tuple[NodeClass, ...]:
        """The classes of the nodes; of all the cluster's where none is chosen yet."""
        if not nodes:
            return self.node_classes
        return tuple({self._by_node[node] for node in nodes if node in self._by_node})

    def class_of(self, node: str) -> NodeClass | None:
        """The class of a node; ``None`` where it is in none."""
        return self._by_node.get(node)


class Clusters:
    """The site's clusters by name."""

    def __init__(self, managed: Sequence[ManagedCluster]) -> None:
        self._by_name = {one.name: one for one in managed}

    def __iter__(self) -> Iterator[ManagedCluster]:
        return iter(self._by_name.values())

    def each(self, work: Callable[[ManagedCluster], int]) -> int:
        """The sum of what some work gives for each cluster.

        Raises:
            ClusterUnavailableError: the clusters that did not answer, once all have been tried.
        """
        done = 0
        problems: list[str] = []
        for managed in self:
            try:
                done += work(managed)
            except ClusterError as error:
                problems.append(f"cluster {managed.name}: {error}")
        if problems:
            raise ClusterUnavailableError("; ".join(problems))
        return done

    def find(self, name: str) -> ManagedCluster | None:
        """One cluster, ``None`` where the site does not (or no longer) manage it."""
        return self._by_name.get(name)

    def get(self, name: str) -> ManagedCluster:
        """One cluster.

        Raises:
            RequestError: the site does not manage a cluster of that name.
        """
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(sorted(self._by_name))
            raise RequestError(f"cluster {name!r} is not managed here; known: {known}") from None
