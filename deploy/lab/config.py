"""What a lab is asked to be."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HOOKS = Path(__file__).resolve().parents[2] / "slurm"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabUser:
    """A real user of the host with an account in Slurm; added to the host if it is not there."""

    name: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPartition:
    """A partition beside ``main``, of the nodes with these numbers, counted from 0."""

    name: str
    nodes: tuple[int, ...]
    max_time: str = "INFINITE"
    state: str = "UP"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabConfig:
    """One cluster: its size, its people, and the hooks that are installed in it.

    Attributes:
        directory: everything of the lab lies in it; every user must be able to reach it.
        beside: the directory of a running lab whose munged, MariaDB, slurmdbd, spool and quota
            file this cluster shares, so that ``sbatch -M`` reaches either from both. None: its own.
        node_cpus: what each node claims to have, whatever the host has.
        node_gpus: GPUs that the nodes claim to have, in their order; none where it ends.
        partitions: beside ``main``, the default one, which has all nodes.
        memory_limits: whether memory is allocated to jobs and held by control groups.
        prolog: copied with its ``SPOOL=`` line rewritten; likewise the epilog. None: no such hook.
        submit_plugin: copied with its ``QUOTA_FILE`` line rewritten; None: no submit plug-in.
        slurm_conf: lines added to slurm.conf.
        environment: added to the environment of everything that runs as a user.
        path: folders in front of the users' PATH.
    """

    directory: Path
    cluster: str = "lab"
    beside: Path | None = None
    nodes: int = 4
    node_cpus: int = 8
    node_memory_mb: int = 4000
    node_gpus: tuple[int, ...] = ()
    partitions: tuple[LabPartition, ...] = ()
    memory_limits: bool = False
    users: tuple[LabUser, ...] = (
        LabUser(name="carbon-ada", account="physics"),
        LabUser(name="carbon-ben", account="biology"),
    )
    prolog: Path | None = HOOKS / "prolog.sh"
    epilog: Path | None = HOOKS / "epilog.sh"
    submit_plugin: Path | None = None
    slurm_conf: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    path: tuple[Path, ...] = ()

    def to_json(self) -> str:
        """For another process that takes over the lab."""
        return json.dumps(asdict(self), default=str, indent=1)

    @classmethod
    def from_json(cls, text: str) -> LabConfig:
        """What ``to_json`` wrote."""
        raw: dict[str, Any] = json.loads(text)
        for key in ("beside", "prolog", "epilog", "submit_plugin"):
            raw[key] = Path(raw[key]) if raw[key] else None
        raw["directory"] = Path(raw["directory"])
        raw["users"] = tuple(LabUser(**user) for user in raw["users"])
        raw["node_gpus"] = tuple(raw["node_gpus"])
        raw["partitions"] = tuple(
            LabPartition(**one | {"nodes": tuple(one["nodes"])}) for one in raw["partitions"]
        )
        raw["slurm_conf"] = tuple(raw["slurm_conf"])
        raw["path"] = tuple(Path(part) for part in raw["path"])
        return cls(**raw)
