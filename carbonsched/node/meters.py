"""Where a node's energy figures come from: a meter, or a declared power model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from carbonsched.errors import ConfigError, MeterError
from carbonsched.model.energy import Quality
from carbonsched.model.hostlist import expand
from carbonsched.node.rapl import RaplMeter
from carbonsched.site import NodeClass
from carbonsched.units import NS_PER_S, UJ_PER_J

LONGEST_MODELLED_GAP_NS = 3600 * NS_PER_S


class Meter(Protocol):
    """One way to know a node's energy between two readings of cumulative counters."""

    @property
    def name(self) -> str:
        """What stands in every segment as its meter."""
        ...

    @property
    def quality(self) -> Quality:
        """How its figures were obtained when nothing went wrong."""
        ...

    @property
    def sees_system(self) -> bool:
        """Whether its figures hold what processes outside jobs used."""
        ...

    @property
    def longest_gap_ns(self) -> int:
        """Readings further apart than this cannot be compared."""
        ...

    def read(self) -> dict[str, int]:
        """The counters now.

        Raises:
            MeterError: one of them cannot be read.
        """
        ...

    def total_uj(
        self, before: Mapping[str, int], after: Mapping[str, int], length_ns: int, jobs_cpu_ns: int
    ) -> int:
        """Microjoules between two readings.

        Raises:
            MeterError: they cannot be compared.
        """
        ...

    def static_uj(self, length_ns: int) -> int | None:
        """What idle CPUs would have drawn; ``None`` where the meter does not know."""
        ...


class ModelMeter:
    """A declared power model: idle power, and the rest of it by the CPU time that jobs used.

    E = idle_w * t + (max_w - idle_w) * cpu_seconds / cpus, with CPU seconds capped at cpus * t.
    """

    quality = Quality.MODELLED
    sees_system = False
    longest_gap_ns = LONGEST_MODELLED_GAP_NS

    def __init__(self, node_class: NodeClass) -> None:
        self._cpus = node_class.cpus
        self._idle_uw = round(node_class.idle_w * UJ_PER_J)
        self._max_uw = round(node_class.max_w * UJ_PER_J)
        if self._cpus < 1 or not 0 <= self._idle_uw <= self._max_uw:
            fault = f"the power class of {node_class.nodes} does not make sense"
            raise ConfigError([f"{fault}; declare cpus >= 1 and 0 <= idle <= max"])
        self.name = (
            f"model(idle {node_class.idle_w:g} W, max {node_class.max_w:g} W, {self._cpus} CPUs)"
        )

    def read(self) -> dict[str, int]:
        """A model has no counters."""
        return {}

    def total_uj(
        self, before: Mapping[str, int], after: Mapping[str, int], length_ns: int, jobs_cpu_ns: int
    ) -> int:
        """Microjoules by the declared figures, rounded down."""
        del before, after
        busy_ns = min(jobs_cpu_ns, self._cpus * length_ns)
        dynamic_uj = (self._max_uw - self._idle_uw) * busy_ns // (self._cpus * NS_PER_S)
        return self.static_uj(length_ns) + dynamic_uj

    def static_uj(self, length_ns: int) -> int:
        """Microjoules of the declared idle power."""
        return self._idle_uw * length_ns // NS_PER_S


def node_class_of(node: str, classes: tuple[NodeClass, ...]) -> NodeClass | None:
    """The first class that names the node."""
    for one in classes:
        try:
            names = expand(one.nodes)
        except ValueError as error:
            raise ConfigError([f"node class {one.nodes!r}: {error}"]) from None
        if node in names:
            return one
    return None


def choose_meter(node: str, node_class: NodeClass | None, sysfs: Path) -> Meter:
    """RAPL where the machine has it, else the declared model; never a default wattage.

    Raises:
        MeterError: a meter is there but refuses, or there is neither meter nor model.
    """
    rapl = RaplMeter.find(sysfs, None if node_class is None else node_class.max_w)
    if rapl is not None:
        return rapl
    if node_class is None:
        raise MeterError(
            f"node {node} has no power meter under {sysfs} and no power class; declare cpus, idle"
            " and max for it in the cluster's 'nodes' and run 'carbonsched config compile'"
        )
    return ModelMeter(node_class)
