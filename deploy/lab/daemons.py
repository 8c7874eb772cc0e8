"""Slurm's daemons and folders in a lab: what is written before they start, and how they start."""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import cgroups, slurm_conf
from .failure import LabError
from .processes import ProcessSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .config import LabConfig

SLURM_USER = "slurm"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The names, ports and sockets that the lab's Slurm runs with."""

    slurmctld_port: int
    slurmdbd_port: int
    node_ports: Mapping[str, int]
    munge_socket: Path
    database_socket: Path
    log: Path


def write_files(config: LabConfig, site: Site, spool: Path, quota_file: Path) -> None:
    """The configuration, the hooks, and the folders that the daemons write to.

    A cluster beside another has no slurmdbd of its own to configure.
    """
    folder = config.directory / "slurm"
    folder.mkdir()
    state = config.directory / "state"
    state.mkdir()
    shutil.chown(state, SLURM_USER, SLURM_USER)
    for node in site.node_ports:
        (config.directory / "slurmd" / node).mkdir(parents=True)
    hooks = _install_hooks(config, folder, spool, quota_file)
    gpus = dict(zip(site.node_ports, config.node_gpus, strict=False))
    (folder / "slurm.conf").write_text(_slurm_conf(config, site, hooks, gpus))
    (folder / "cgroup.conf").write_text(_cgroup_conf(config))
    if any(gpus.values()):
        (folder / "gres.conf").write_text(_gres_conf(config.directory / "gpus", gpus))
    if config.beside is None:
        _write_slurmdbd_conf(config, site, folder)


def _write_slurmdbd_conf(config: LabConfig, site: Site, folder: Path) -> None:
    secret = folder / "slurmdbd.conf"  # slurmdbd refuses one that others may read
    secret.touch(mode=0o600)
    shutil.chown(secret, SLURM_USER, SLURM_USER)
    secret.write_text(
        slurm_conf.SLURMDBD_CONF.substitute(
            directory=config.directory,
            slurmdbd_port=site.slurmdbd_port,
            munge_socket=site.munge_socket,
        )
    )


def slurmdbd(config: LabConfig, site: Site) -> ProcessSpec:
    """The accounting daemon."""
    env = {"MYSQL_UNIX_PORT": str(site.database_socket)}
    return _daemon(config, site, "slurmdbd", ("-D",), user=SLURM_USER, env=env)


def slurmctld(config: LabConfig, site: Site) -> ProcessSpec:
    """The controller."""
    return _daemon(config, site, "slurmctld", ("-D",), user=SLURM_USER)


def slurmd(config: LabConfig, site: Site, node: str) -> ProcessSpec:
    """The daemon of one node; each runs its jobs as their users, so it is root's."""
    return _daemon(config, site, "slurmd", ("-D", "-N", node), name=f"slurmd-{node}")


def _daemon(
    config: LabConfig,
    site: Site,
    program: str,
    options: tuple[str, ...],
    *,
    user: str = "root",
    name: str | None = None,
    env: Mapping[str, str] | None = None,
) -> ProcessSpec:
    name = name or program
    return ProcessSpec(
        name=name,
        argv=(f"/usr/sbin/{program}", *options),
        log=site.log / f"{name}.log",
        user=user,
        env={
            "SLURM_CONF": str(config.directory / "slurm/slurm.conf"),
            "PATH": _PATH,
            **(env or {}),
        },
    )


def _slurm_conf(config: LabConfig, site: Site, hooks: list[str], gpus: Mapping[str, int]) -> str:
    nodes = [
        slurm_conf.NODE.substitute(
            name=name,
            port=port,
            cpus=config.node_cpus,
            memory_mb=config.node_memory_mb,
            gres=f" Gres=gpu:{gpus[name]}" if gpus.get(name) else "",
        )
        for name, port in site.node_ports.items()
    ]
    names = list(site.node_ports)
    partitions = [
        slurm_conf.PARTITION.substitute(
            name=one.name,
            nodes=",".join(names[number] for number in one.nodes),
            max_time=one.max_time,
            state=one.state,
        )
        for one in config.partitions
    ]
    extra = [*config.slurm_conf, *([slurm_conf.GPUS] if any(gpus.values()) else [])]
    return slurm_conf.SLURM_CONF.substitute(
        cluster=config.cluster,
        directory=config.directory,
        slurmctld_port=site.slurmctld_port,
        slurmdbd_port=site.slurmdbd_port,
        munge_socket=site.munge_socket,
        hooks="\n".join(hooks),
        nodes="\n".join(nodes),
        node_list=",".join(names),
        partitions="\n".join(partitions),
        resources="CR_Core_Memory" if config.memory_limits else "CR_Core",
        extra="\n".join(extra),
    )


def _cgroup_conf(config: LabConfig) -> str:
    version = cgroups.version()
    alone = version == 2 and not cgroups.systemd_rules()
    return slurm_conf.CGROUP_CONF.substitute(
        version=version,
        constrain_memory="yes" if config.memory_limits else "no",
        extra=slurm_conf.CGROUP_V2_ALONE if alone else "",
    )


def _gres_conf(devices: Path, gpus: Mapping[str, int]) -> str:
    """Each GPU has a device with the numbers of /dev/null; plain files would not be counted."""
    devices.mkdir()
    numbers = Path(os.devnull).stat().st_rdev
    for number in range(max(gpus.values())):
        os.mknod(devices / f"gpu{number}", 0o666 | stat.S_IFCHR, numbers)
    lines = [
        slurm_conf.GRES_CONF.substitute(name=name, devices=devices, last=count - 1)
        for name, count in gpus.items()
        if count
    ]
    return "".join(["AutoDetect=off\n", *lines])


def _install_hooks(config: LabConfig, folder: Path, spool: Path, quota_file: Path) -> list[str]:
    """Copies the hooks with their one line rewritten; returns the lines of slurm.conf."""
    lines = []
    for key, script in (("Prolog", config.prolog), ("Epilog", config.epilog)):
        if script is not None:
            copy = folder / script.name
            _copy_with_line(script, copy, r"^SPOOL=.*$", f"SPOOL={spool}")
            copy.chmod(0o755)
            lines.append(f"{key}={copy}")
    if config.submit_plugin is not None:
        line = f'local QUOTA_FILE = "{quota_file}"'
        copy = folder / "job_submit.lua"  # Slurm looks for it beside slurm.conf
        _copy_with_line(config.submit_plugin, copy, r"^local QUOTA_FILE = .*$", line)
        lines.append("JobSubmitPlugins=lua")
    return lines


def _copy_with_line(source: Path, target: Path, pattern: str, line: str) -> None:
    text, count = re.subn(pattern, lambda _: line, source.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise LabError(f"{source} has {count} lines that match {pattern}; it must have one")
    target.write_text(text)
