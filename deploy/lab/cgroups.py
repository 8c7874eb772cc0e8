"""The control groups that slurmd makes for its jobs, in both versions."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path("/sys/fs/cgroup")


def version() -> int:
    """2 on a host with the unified hierarchy alone, else 1."""
    return 2 if (ROOT / "cgroup.controllers").exists() else 1


def systemd_rules() -> bool:
    """Whether systemd runs this host, and would mind that others make groups by themselves."""
    return Path("/run/systemd/system").exists()


def of_nodes(nodes: Iterable[str]) -> list[Path]:
    """The top folders of these nodes; version 1 has one under each controller."""
    found: list[Path] = []
    for node in nodes:
        found += ROOT.glob(f"*/slurm_{node}")
        found += ROOT.glob(f"system.slice/{node}_slurm*")
    return found


def named(tops: Iterable[Path], name: str) -> list[Path]:
    """The groups of that name below the folders; slurmd may remove some while we look."""
    return [
        Path(folder, name) for top in tops for folder, names, _ in os.walk(top) if name in names
    ]


def processes(tops: Iterable[Path]) -> Iterator[int]:
    """Every process in or below the folders."""
    seen = set()
    for top in tops:
        for folder, _, _ in os.walk(top):
            try:
                seen.update(Path(folder, "cgroup.procs").read_text().split())
            except OSError:
                continue  # removed meanwhile
    yield from (int(pid) for pid in seen)


def remove(nodes: Iterable[str], timeout_s: float = 5.0) -> list[Path]:
    """Kills what is left in the nodes' groups and removes them; returns those that stay."""
    names = list(nodes)
    deadline = time.monotonic() + timeout_s
    while (tops := of_nodes(names)) and time.monotonic() < deadline:
        for pid in processes(tops):
            _kill(pid)
        for top in tops:
            for folder, _, _ in os.walk(top, topdown=False):
                _rmdir(Path(folder))
        time.sleep(0.02)
    return tops


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _rmdir(folder: Path) -> None:
    with suppress(OSError):  # a process is still leaving it; the next round takes it
        folder.rmdir()
