"""Idle and full power of a node from the names of its parts.

    max = sockets x TDP + memory x 0.3725 W/GB        idle = 0.25 x max

No constant stands for board, fans and supply: what they draw and lose is about what the memory's
figure is too high by for today's large modules, see docs/explanation/power-model.md for how far
this is off from measured servers.
"""

from __future__ import annotations

from dataclasses import dataclass

from carbonsched.power.tables import cpus, gpus

MEMORY_W_PER_GB = 0.3725
"""Lannelongue, Grealey and Inouye, "Green Algorithms" (Advanced Science, 2021)."""
IDLE_SHARE = 0.25
"""Idle over full power. Cloud Carbon Footprint's coefficients for AWS, 0.74 W and 3.5 W a CPU, are
0.21; servers as they are bought idle higher than benchmarked ones ("Comparing datasets of volume
servers to illuminate their energy use in data centers", Energy Efficiency, 2020)."""
GPU_IDLE_SHARE = 0.15
"""Idle over full power of a data centre's GPU: an assumption between the tenth and the fifth that
boards of the last generations show."""
DECLARED_UNCERTAINTY = 0.2
"""Relative standard deviation of modelled energy where idle and full power are right: that of the
curve between them."""
TABLE_UNCERTAINTY = 0.3
"""The same where they are from the rule above: its error and the curve's together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePower:
    """Watts of one node without its GPUs, and of one GPU (0 where none was named).

    ``uncertainty`` is the relative standard deviation of energy by a power model with these
    figures; ``source`` says how they came about.
    """

    idle_w: float
    max_w: float
    uncertainty: float
    gpu_idle_w: float
    gpu_max_w: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPower:
    """Watts of one GPU, and how they came about."""

    idle_w: float
    max_w: float
    source: str


def node_power(cpu: str, sockets: int, memory_gb: int, gpu: str | None) -> NodePower:
    """Power of a node by its CPU's name, number of sockets, memory and GPU's name.

    Raises:
        ValueError: a name is not known (the message has near ones), or a number makes no sense.
    """
    if sockets < 1 or memory_gb < 0:
        raise ValueError("a node has at least 1 socket and no negative memory")
    cpu_name, tdp_w = cpus().find(cpu)
    max_w = sockets * tdp_w + memory_gb * MEMORY_W_PER_GB
    source = (
        f"{sockets} x {cpu_name} at {tdp_w:g} W ({cpus().source}),"
        f" {memory_gb} GB at {MEMORY_W_PER_GB} W, idle {IDLE_SHARE:.0%}"
    )
    of_gpu = None if gpu is None else gpu_power(gpu)
    return NodePower(
        idle_w=round(IDLE_SHARE * max_w, 1),
        max_w=round(max_w, 1),
        uncertainty=TABLE_UNCERTAINTY,
        gpu_idle_w=0.0 if of_gpu is None else of_gpu.idle_w,
        gpu_max_w=0.0 if of_gpu is None else of_gpu.max_w,
        source=source if of_gpu is None else f"{source}; {of_gpu.source}",
    )


def gpu_power(gpu: str) -> GpuPower:
    """Power of one GPU by its name.

    Raises:
        ValueError: the name is not known; the message has near ones.
    """
    name, max_w = gpus().find(gpu)
    source = f"GPU {name} at {max_w:g} W ({gpus().source}), idle {GPU_IDLE_SHARE:.0%}"
    return GpuPower(idle_w=round(GPU_IDLE_SHARE * max_w, 1), max_w=max_w, source=source)
