"""CPU time of the jobs on this node, from the control groups that Slurm makes (v1 and v2)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_UID = re.compile(r"uid_([0-9]{1,10})")
_JOB = re.compile(r"job_([0-9]{1,10})")
_V1_MOUNTS = ("cpuacct", "cpu,cpuacct", "cpuacct,cpu")
_V2_MOUNTS = ("", "unified")


@dataclass(frozen=True, slots=True)
class CpuReading:
    """A job's cumulative CPU time; another ``inode`` is another control group, from zero."""

    job_id: int
    uid: int | None
    cpu_ns: int
    inode: int


class JobCgroups:
    """The job control groups of one node.

    Several slurmd on one machine keep theirs apart by the node's name (``slurm_n1``,
    ``n1_slurmstepd.scope``): only this node's count, the plain name where there is no other.
    """

    def __init__(self, cgroupfs: Path, procfs: Path, node: str) -> None:
        self._procfs = procfs
        self._v1 = [
            cgroupfs / mount / name for mount in _V1_MOUNTS for name in (f"slurm_{node}", "slurm")
        ]
        self._v2 = [
            cgroupfs / mount / "system.slice" / name
            for mount in _V2_MOUNTS
            for name in (f"{node}_slurmstepd.scope", "slurmstepd.scope")
        ]
        named = re.escape(node)
        self._in_process = re.compile(
            rf"/slurm(?:_{named})?/uid_[0-9]+/job_([0-9]{{1,10}})(?:/|$)"
            rf"|/(?:{named}_)?slurmstepd\.scope/job_([0-9]{{1,10}})(?:/|$)",
            re.MULTILINE,
        )

    def read(self) -> list[CpuReading]:
        """Every job's reading; a job that vanishes meanwhile is left out."""
        for root in self._v1:
            users = _children(root, _UID)
            if users is not None:
                return [
                    reading
                    for uid, user in users
                    for job_id, job in _children(user.path, _JOB) or ()
                    for reading in _reading(job_id, uid, job, _v1_ns)
                ]
        for root in self._v2:
            jobs = _children(root, _JOB)
            if jobs is not None:
                return [r for job_id, job in jobs for r in _reading(job_id, None, job, _v2_ns)]
        return []

    def job_of_process(self, pid: int) -> int | None:
        """The job on this node in whose control group a process is, if any."""
        try:
            text = (self._procfs / str(pid) / "cgroup").read_text(errors="replace")
        except OSError:
            return None
        match = self._in_process.search(text)
        return None if match is None else int(match[1] or match[2])

    def process_exists(self, pid: int) -> bool:
        """Whether there is still such a process."""
        return (self._procfs / str(pid)).exists()


def _children(
    root: Path | str, pattern: re.Pattern[str]
) -> list[tuple[int, os.DirEntry[str]]] | None:
    """Numbered subdirectories; ``None`` where there is no such directory."""
    try:
        with os.scandir(root) as entries:
            return [
                (int(match[1]), entry)
                for entry in entries
                if (match := pattern.fullmatch(entry.name)) is not None
            ]
    except OSError:
        return None


def _reading(
    job_id: int, uid: int | None, directory: os.DirEntry[str], read: Callable[[str], int]
) -> list[CpuReading]:
    try:
        return [CpuReading(job_id, uid, read(directory.path), directory.inode())]
    except (OSError, ValueError, IndexError):
        return []  # gone since the listing, or without the cpu controller


def _v1_ns(directory: str) -> int:
    with open(f"{directory}/cpuacct.usage", "rb") as file:  # noqa: PTH123 - each second: no Path
        return int(file.read())


def _v2_ns(directory: str) -> int:
    with open(f"{directory}/cpu.stat", "rb") as file:  # noqa: PTH123 - each second: no Path
        words = file.read().split()
    return int(words[words.index(b"usage_usec") + 1]) * 1000


class NodeCpu:
    """CPU time of the whole node, from /proc/stat."""

    def __init__(self, procfs: Path) -> None:
        self._path = procfs / "stat"
        self._tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

    def busy_ns(self) -> int | None:
        """Cumulative: user, nice, system, irq and softirq; ``None`` if unreadable."""
        try:
            words = self._path.read_bytes().split(b"\n", 1)[0].split()
            user, nice, system, _idle, _wait, irq, softirq = (int(word) for word in words[1:8])
        except (OSError, ValueError):
            return None
        # Time given to guests is in user and nice already (proc_stat(5)).
        return (user + nice + system + irq + softirq) * self._tick_ns

    def count(self) -> int:
        """CPUs of the node; 0 if unreadable."""
        try:
            return len(re.findall(rb"^cpu[0-9]+ ", self._path.read_bytes(), re.MULTILINE))
        except OSError:
            return 0
