"""The Slurm clusters, their place on the grid, and what their nodes draw."""

from __future__ import annotations

from pydantic import ValidationInfo, field_validator

from carbonsched.config.base import Section, option
from carbonsched.config.quantities import AbsolutePath, HostList, Name, Seconds, Watts
from carbonsched.units import ppm


class NodeClassConfig(Section):
    """Nodes alike in power; used where a node has no meter, and to predict."""

    nodes: HostList = option("The nodes, as a Slurm host list.", example="cn[001-120]")
    cpus: int = option("CPUs of one node as Slurm counts them.", example="128", ge=1, le=1_000_000)
    idle_w: Watts = option(
        "What the whole node draws at the wall when idle.", example="95 W", key="idle"
    )
    max_w: Watts = option(
        "What the whole node draws with all CPUs busy, without GPUs.",
        example="410 W",
        key="max",
        le=100_000,
    )

    @field_validator("max_w")
    @classmethod
    def _busy_draws_more(cls, value: float, info: ValidationInfo) -> float:
        idle = info.data.get("idle_w")
        if idle is not None and value <= idle:
            raise ValueError(f"a busy node draws more than an idle one; raise it above {idle:g} W")
        return value


class SlurmConfig(Section):
    """How the daemon calls Slurm's commands."""

    bin_dir: AbsolutePath | None = option(
        "Where squeue, sacct and scontrol lie; none: found by PATH.",
        example="/opt/slurm/bin",
        default=None,
    )
    conf: AbsolutePath | None = option(
        "The slurm.conf to name to them; none: their own default.",
        example="/etc/slurm/slurm.conf",
        default=None,
    )
    timeout_s: Seconds = option(
        "How long one command may take.",
        example="20s",
        default=20.0,
        key="timeout",
        shown="20s",
        gt=0,
        le=600,
    )
    max_calls_per_s: float = option(
        "At most this many commands a second, so that slurmctld is not burdened.",
        example="5",
        default=5.0,
        shown="5",
        gt=0,
        le=1000,
    )


class ClusterConfig(Section):
    """One Slurm cluster."""

    name: Name = option("Slurm's ClusterName.", example="hpc")
    zone: Name = option("The grid zone that feeds it, one of the zones below.", example="DE")
    pue: float = option(
        "Power usage effectiveness: energy of the whole building over that of the computers."
        " There is no default; ask whoever runs the building.",
        example="1.25",
        ge=1.0,
        le=3.0,
    )
    nodes: tuple[NodeClassConfig, ...] = option(
        "The node classes; each node in at most one.", example=None, default=()
    )
    slurm: SlurmConfig = option(
        "How the daemon calls Slurm's commands.", example=None, default=SlurmConfig()
    )

    @property
    def pue_ppm(self) -> int:
        """The PUE in whole parts per million."""
        return ppm(self.pue)
