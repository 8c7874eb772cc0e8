"""What a plant is asked to be; plain data that travels as JSON to the plant's process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .physics import Profile

RAPL_RANGE_UJ = 262_143_328_850


@dataclass(frozen=True, kw_only=True)
class Zone:
    """One powercap folder: ``intel-rapl:0`` and so on, with the device whose energy it counts.

    ``device`` is a device's name, ``psys`` for the sum of all but the rest, or ``core`` and the
    like for seven tenths of package 0, as a subzone. ``hidden`` ones appear when told to.
    """

    directory: str
    name: str
    device: str
    range_uj: int = RAPL_RANGE_UJ
    start_uj: int = 0
    hidden: bool = False


@dataclass(frozen=True, kw_only=True)
class GpuScript:
    """One GPU: ``counter`` says whether it has an energy counter or only shows its power.

    ``instances`` are its MIG instances, if it is divided into ``slices`` compute slices: UUID, GPU
    instance, that one's slices, its own compute slices.
    """

    uuid: str
    idle_w: float = 60.0
    profile: Profile = field(default_factory=Profile)
    counter: bool = True
    slices: int = 1
    instances: tuple[tuple[str, int, int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeScript:
    """One node. Watts are of one package; ``busy_w`` is per busy CPU of the whole node.

    A GPU draws idle power unless a file with its number lies in ``gpu_work``: then what its profile
    says comes on top. Whoever computes on it puts that file there.

    ``cgroups`` is where jobs' CPU time is read (a real hierarchy, version 1), or empty: then jobs
    are scripted, and ``cgroup_version`` says what the tree under ``folder`` looks like, and
    ``job_directory`` what a job's folder is called.
    """

    name: str
    folder: str
    cpus: int = 8
    cgroups: str = ""
    cgroup_version: int = 1
    job_directory: str = "job_{job}"
    memory_mb: int = 4000
    packages: int = 2
    package_idle_w: float = 20.0
    busy_w: float = 30.0
    dram: bool = True
    dram_idle_w: float = 4.0
    dram_busy_w: float = 2.0
    rest_w: float = 50.0
    loss_ppm: int = 80_000
    system_cpus: float = 0.0
    powercap: bool = True
    more_zones: tuple[Zone, ...] = ()
    range_uj: int = RAPL_RANGE_UJ
    wall: str = ""
    wall_interval_s: float = 1.0
    gpus: tuple[GpuScript, ...] = ()
    nvml_state: str = ""
    gpu_work: str = ""


@dataclass(frozen=True, kw_only=True)
class Script:
    """The whole plant: ``hz`` steps a second, truth in ``log``/NODE.log."""

    log: str
    nodes: tuple[NodeScript, ...]
    hz: int = 50

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Script:
        raw = json.loads(text)
        raw["nodes"] = tuple(_node(one) for one in raw["nodes"])
        return cls(**raw)


def zones_of(node: NodeScript) -> tuple[Zone, ...]:
    """The usual zones: packages, a core subzone of each, and memory; then what is asked for."""
    zones: list[Zone] = []
    for number in range(node.packages if node.powercap else 0):
        top, package = f"intel-rapl:{number}", f"package-{number}"
        # Counters start where their package's number puts them, so that they wrap apart.
        start = node.range_uj * (2 + number) // 5
        zones.append(
            Zone(
                directory=top,
                name=package,
                device=package,
                range_uj=node.range_uj,
                start_uj=start,
            )
        )
        zones.append(
            Zone(directory=f"{top}:0", name="core", device=f"core-{number}", range_uj=node.range_uj)
        )
        if node.dram:
            zones.append(
                Zone(
                    directory=f"{top}:1",
                    name="dram",
                    device=f"{package} dram",
                    range_uj=node.range_uj,
                )
            )
    return (*zones, *node.more_zones)


def sysfs(node: NodeScript) -> Path:
    """The node's /sys."""
    return Path(node.folder) / "sys"


def procfs(node: NodeScript) -> Path:
    """The node's /proc."""
    return Path(node.folder) / "proc"


def cgroupfs(node: NodeScript) -> Path:
    """Where the agent finds control groups."""
    return Path(node.cgroups) if node.cgroups else Path(node.folder) / "sys/fs/cgroup"


def _node(raw: dict[str, Any]) -> NodeScript:
    raw["more_zones"] = tuple(Zone(**one) for one in raw["more_zones"])
    raw["gpus"] = tuple(
        GpuScript(**(one | {"profile": Profile(**one["profile"])})) for one in raw["gpus"]
    )
    return NodeScript(**raw)
