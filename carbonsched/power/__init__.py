"""Power of nodes that nobody measured: tables of CPUs and GPUs, and a rule for the rest."""

from carbonsched.power.nodes import (
    DECLARED_UNCERTAINTY,
    GPU_IDLE_SHARE,
    IDLE_SHARE,
    MEMORY_W_PER_GB,
    TABLE_UNCERTAINTY,
    GpuPower,
    NodePower,
    gpu_power,
    node_power,
)

__all__ = [
    "DECLARED_UNCERTAINTY",
    "GPU_IDLE_SHARE",
    "IDLE_SHARE",
    "MEMORY_W_PER_GB",
    "TABLE_UNCERTAINTY",
    "GpuPower",
    "NodePower",
    "gpu_power",
    "node_power",
]
