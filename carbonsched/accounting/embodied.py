"""Embodied carbon: what making the nodes emitted, by the share of their life that a job held.

It was emitted before the job was submitted and does not depend on when the job runs. So it is no
part of the operational sum, is not charged against quotas, and no start is ever moved for it
(adding it there would reward keeping old, wasteful nodes busy: the sunk-carbon fallacy, Bashir et
al. 2024). It always stands on a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from carbonsched.model.hostlist import expand

_MS_PER_S = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbodiedNodes:
    """Nodes alike: milligrams of CO2eq for making one, spread evenly over its years of service.

    ``nodes`` is a host list in Slurm's notation.
    """

    nodes: str
    mg: int
    lifetime_s: int

    def __post_init__(self) -> None:
        if self.mg < 0 or self.lifetime_s <= 0:
            raise ValueError("embodied carbon is negative, or a lifetime is not above zero")


class Embodied:
    """The embodied carbon of a cluster's nodes; some may be without a declaration."""

    def __init__(self, classes: Iterable[EmbodiedNodes]) -> None:
        self._by_node: dict[str, EmbodiedNodes] = {}
        for one in classes:
            self._by_node.update(dict.fromkeys(expand(one.nodes), one))

    def mg(self, node: str, node_ms: int) -> Fraction | None:
        """Exact milligrams for having held the whole node for ``node_ms`` milliseconds.

        m = M x t / T with the node's embodied carbon M and its lifetime T, as in the Software
        Carbon Intensity specification (Green Software Foundation, ISO/IEC 21031:2024: M = TE x TS
        x RS, time share times resource share). ``None`` where the node's is not declared.
        """
        declared = self._by_node.get(node)
        if declared is None:
            return None
        return Fraction(declared.mg * node_ms, declared.lifetime_s * _MS_PER_S)
