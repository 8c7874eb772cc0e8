"""What the agent sees in one sample, and what it knows of its node from the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from carbonsched.node.meters.meter import Reading
from carbonsched.node.presence.cgroups import CgroupSample
from carbonsched.node.presence.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that one sample saw; counters and CPU times are cumulative.

    ``meters`` are the readings by meter key. ``node_cpu_ns`` is CPU time of the whole node,
    ``None`` where it is not seen or the meters do not see what processes outside jobs draw.
    """

    wall_ns: int
    steady_ns: int
    meters: Mapping[str, Reading]
    cgroups: CgroupSample
    events: tuple[Event, ...]
    node_cpu_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What does not change while the agent runs.

    ``memory_mb`` is 0 where it is not known. ``idle_w`` is the declared idle power of the node
    without its GPUs, ``None`` where it is not declared.
    """

    cluster: str
    node: str
    boot_id: str
    cpus: int
    sample_s: float
    segment_s: int
    memory_mb: int = 0
    idle_w: float | None = None
