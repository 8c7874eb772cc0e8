"""The Slurm clusters, their place on the grid, and what their nodes draw."""

from __future__ import annotations

from carbonsched.config.base import Section, option
from carbonsched.config.facility import PueConfig
from carbonsched.config.nodes import NodeClassConfig
from carbonsched.config.quantities import AbsolutePath, Name, Seconds


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
    by_name: bool = option(
        "Whether to tell the commands the cluster's name (--clusters), where their slurm.conf is"
        " another cluster's of the same slurmdbd.",
        example="false",
        default=False,
        shown="false",
    )


class ClusterConfig(Section):
    """One Slurm cluster."""

    name: Name = option("Slurm's ClusterName.", example="hpc")
    zone: Name = option("The grid zone that feeds it, one of the zones below.", example="DE")
    pue: PueConfig = option(
        "Power usage effectiveness: energy of the whole building over that of the computers; a"
        " number, or where it comes from as it changes. There is no default; ask whoever runs the"
        " building.",
        example="1.25",
    )
    nodes: tuple[NodeClassConfig, ...] = option(
        "The node classes; each node in at most one.", example=None, default=()
    )
    slurm: SlurmConfig = option(
        "How the daemon calls Slurm's commands.", example=None, default=SlurmConfig()
    )
