"""Declared power models: of a node without a meter, and of GPUs without one.

The node's power between idle and full follows P(u) = idle + (max - idle) * u * (2 - u), where u is
the CPU time of jobs over that of all CPUs. It is the form 2u - u^r of Fan, Weber and Barroso,
"Power provisioning for a warehouse-sized computer" (ISCA 2007), with r = 2 after the load sweeps
in tests/fixtures/power; docs/explanation/power-model.md has the comparison and the error.
"""

from __future__ import annotations

import math
from dataclasses import replace

from carbonsched.errors import ConfigError
from carbonsched.model.energy import Domain, Quality
from carbonsched.model.hostlist import expand
from carbonsched.node.meters.meter import DomainEnergy, Gpu, Reading
from carbonsched.site import NodeClass
from carbonsched.units import NS_PER_S, PPM, UJ_PER_J, ppm

LONGEST_MODELLED_GAP_NS = 3600 * NS_PER_S


class ModelMeter:
    """A node's energy from declared figures and the CPU time that jobs used.

    An interval counts with its mean utilisation, however long it is. As the curve is concave, that
    is an upper bound of what the same CPU time unevenly spread would give.
    """

    key = "model"
    longest_gap_ns = LONGEST_MODELLED_GAP_NS

    def __init__(self, node_class: NodeClass) -> None:
        cpus, uncertainty = node_class.cpus, node_class.uncertainty
        _check_range(node_class, node_class.idle_w, node_class.max_w, "idle <= max")
        if cpus < 1 or not (math.isfinite(uncertainty) and uncertainty >= 0):
            raise _nonsense(node_class, "cpus >= 1 and uncertainty >= 0")
        self._cpus = cpus
        self._idle_uw = _uw(node_class.idle_w)
        self._range_uw = _uw(node_class.max_w) - self._idle_uw
        self._uncertainty_ppm = ppm(uncertainty)
        self.name = (
            f"model(idle {node_class.idle_w:g} W, max {node_class.max_w:g} W, {cpus} CPUs,"
            f" ±{uncertainty * 100:g} %)"
        )

    def read(self, steady_ns: int) -> Reading:
        """A model has no counters."""
        del steady_ns
        return {}

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """Energy by the declared figures; CPU time beyond all CPUs' counts as all CPUs'."""
        del before, after
        static_uj = self._idle_uw * length_ns // NS_PER_S
        energy_uj = static_uj + self._dynamic_uj(length_ns, busy_ns)
        return (
            DomainEnergy(
                domain=Domain.NODE,
                device="model",
                energy_uj=energy_uj,
                quality=Quality.MODELLED,
                static_uj=static_uj,
                uncertainty_uj=energy_uj * self._uncertainty_ppm // PPM,
            ),
        )

    def _dynamic_uj(self, length_ns: int, busy_ns: int) -> int:
        """(max - idle) * t * u * (2 - u), exact until rounded down once."""
        all_ns = self._cpus * length_ns
        if all_ns == 0:
            return 0
        used_ns = min(max(0, busy_ns), all_ns)
        curve = used_ns * (2 * all_ns - used_ns)
        return self._range_uw * length_ns * curve // (all_ns * all_ns * NS_PER_S)


class ModelledGpus:
    """Declared GPUs of which nothing is seen: neither power nor utilisation.

    Each counts with the middle of its declared range, and half the range is its uncertainty: as if
    a job had it throughout. ``as_allocated`` takes off what it did not draw while nobody had it.
    """

    key = "gpu-model"
    longest_gap_ns = LONGEST_MODELLED_GAP_NS

    def __init__(self, node_class: NodeClass) -> None:
        idle_w, max_w = node_class.gpu_idle_w, node_class.gpu_max_w
        _check_range(node_class, idle_w, max_w, "GPU idle <= GPU max")
        if node_class.gpus < 1 or max_w <= 0:
            raise _nonsense(node_class, "gpus >= 1 and GPU max > 0")
        self._idle_uw = _uw(idle_w)
        self._half_range_uw = (_uw(max_w) - self._idle_uw) // 2
        self._gpus = tuple(
            Gpu(device=f"gpu{index}", index=index) for index in range(node_class.gpus)
        )
        self.name = f"gpu-model({node_class.gpus} GPUs, idle {idle_w:g} W, max {max_w:g} W)"

    def gpus(self) -> tuple[Gpu, ...]:
        """As many as are declared."""
        return self._gpus

    def read(self, steady_ns: int) -> Reading:
        """A model has no counters."""
        del steady_ns
        return {}

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """Each GPU's energy as if a job had it throughout."""
        del before, after, busy_ns
        static_uj = self._idle_uw * length_ns // NS_PER_S
        half_range_uj = self._half_range_uw * length_ns // NS_PER_S
        return tuple(
            DomainEnergy(
                domain=Domain.GPU,
                device=gpu.device,
                energy_uj=static_uj + half_range_uj,
                quality=Quality.MODELLED,
                static_uj=static_uj,
                uncertainty_uj=half_range_uj,
            )
            for gpu in self._gpus
        )


def as_allocated(energy: DomainEnergy, allocated_ns: int, length_ns: int) -> DomainEnergy:
    """A modelled GPU's energy, its dynamic part only for the time in which jobs had it.

    ``allocated_ns`` is the time of each job's presence times its share of the GPU, summed; more
    than ``length_ns`` counts as all of it. Other meters saw what they saw: theirs is as it was.
    """
    if energy.quality is not Quality.MODELLED or energy.domain is not Domain.GPU or length_ns <= 0:
        return energy
    had_ns = min(max(0, allocated_ns), length_ns)
    static_uj = energy.static_uj or 0
    dynamic_uj = (energy.energy_uj - static_uj) * had_ns // length_ns
    return replace(
        energy,
        energy_uj=static_uj + dynamic_uj,
        uncertainty_uj=energy.uncertainty_uj * had_ns // length_ns,
    )


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


def _check_range(node_class: NodeClass, idle_w: float, max_w: float, rule: str) -> None:
    if not (math.isfinite(idle_w) and math.isfinite(max_w) and 0 <= idle_w <= max_w):
        raise _nonsense(node_class, f"0 <= {rule}")


def _nonsense(node_class: NodeClass, rule: str) -> ConfigError:
    fault = f"the power class of {node_class.nodes} does not make sense"
    return ConfigError([f"{fault}; declare {rule}"])


def _uw(watts: float) -> int:
    return round(watts * UJ_PER_J)
