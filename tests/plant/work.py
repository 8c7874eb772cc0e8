"""CPU time of jobs: read from the real control groups, or scripted and shown in a tree of them."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .gauges import Gauge, put
from .physics import NS
from .script import NodeScript, cgroupfs

_JOB = re.compile(r"job_([0-9]+)")
_UID = re.compile(r"uid_[0-9]+")


@dataclass
class Worked:
    """CPU nanoseconds of one step: by job, and of what belongs to none."""

    jobs: dict[int, int] = field(default_factory=dict)
    other: int = 0

    @property
    def total(self) -> int:
        return sum(self.jobs.values()) + self.other


class Work(Protocol):
    """Where CPU time comes from."""

    def step(self, length_ns: int) -> Worked:
        """What was used since the last step."""
        ...


class RealWork:
    """The control groups that a real slurmd makes for its node, version 1.

    The hierarchy's own counter keeps the time of groups that are gone: what it has more than the
    groups that are seen belongs to those that vanished in this step.
    """

    def __init__(self, node: NodeScript) -> None:
        self._top = Path(node.cgroups) / "cpuacct" / f"slurm_{node.name}"
        self._all = 0
        self._jobs: dict[int, int] = {}

    def step(self, length_ns: int) -> Worked:
        del length_ns
        # Children before their parent: what they use between the two reads comes a step later.
        seen = self._read()
        total = _usage(self._top)
        if total is None or total < self._all:
            total = sum(seen.values()) if total is None else total
            if total < self._all:
                self._all, self._jobs = 0, {}
        worked = Worked()
        for job, used in seen.items():
            worked.jobs[job] = max(0, used - self._jobs.get(job, 0))
        more = total - self._all - worked.total
        gone = [job for job in self._jobs if job not in seen]
        for place, job in enumerate(gone if more > 0 else ()):
            worked.jobs[job] = share = more // (len(gone) - place)
            more -= share
        worked.other = more  # what was used between two reads may make it negative for a step
        self._all, self._jobs = total, seen
        return worked

    def _read(self) -> dict[int, int]:
        found = {}
        for user in _folders(self._top, _UID):
            for name in _folders(self._top / user, _JOB):
                used = _usage(self._top / user / name)
                if used is not None:
                    job = int(name[4:])
                    found[job] = found.get(job, 0) + used
        return found


@dataclass
class _Scripted:
    cpus: float
    folder: list[Path]
    gauge: Gauge
    used: int = 0


class ScriptedWork:
    """Jobs that a test begins, changes and ends; their groups are files of either version."""

    def __init__(self, node: NodeScript) -> None:
        self._node = node
        self._root = cgroupfs(node)
        self._jobs: dict[int, _Scripted] = {}
        self._gone = 0
        self._top = self._make_top()

    def begin(
        self, job: int, *, cpus: float, uid: int = 1000, memory_mb: int = 0, cpuset: str = ""
    ) -> None:
        """A control group appears; the job keeps ``cpus`` CPUs busy from now on."""
        name = self._node.job_directory.format(job=job)
        if self._node.cgroup_version == 1:
            folders = [
                self._root / controller / f"slurm_{self._node.name}" / f"uid_{uid}" / name
                for controller in ("cpuacct", "memory", "cpuset", "freezer")
            ]
            gauge = Gauge(folders[0] / "cpuacct.usage", "0")
            limit = memory_mb * 1024 * 1024 if memory_mb else 9_223_372_036_854_771_712
            put(folders[1] / "memory.limit_in_bytes", f"{limit}\n")
            put(folders[2] / "cpuset.cpus", f"{cpuset}\n")
            put(folders[3] / "freezer.state", "THAWED\n")
            put(folders[3] / "step_batch/freezer.state", "THAWED\n")
        else:
            folders = [self._scope / name]
            gauge = Gauge(folders[0] / "cpu.stat", _v2(0))
            put(folders[0] / "memory.max", f"{memory_mb * 1024 * 1024 or 'max'}\n")
            put(folders[0] / "cpuset.cpus", f"{cpuset}\n")
            for folder in (folders[0], folders[0] / "step_batch/user"):
                put(folder / "cgroup.freeze", "0\n")
                put(folder / "cgroup.events", "populated 1\nfrozen 0\n")
        self._jobs[job] = _Scripted(cpus, folders, gauge)

    def load(self, job: int, cpus: float) -> None:
        """The job keeps another number of CPUs busy."""
        self._jobs[job].cpus = cpus

    def freeze(self, job: int, *, frozen: bool) -> None:
        """As ``scontrol suspend`` does it: each step is frozen, the job's own group is not."""
        if self._node.cgroup_version == 1:
            state = self._jobs[job].folder[3] / "step_batch/freezer.state"
            put(state, "FROZEN\n" if frozen else "THAWED\n")
        else:
            folder = self._jobs[job].folder[0] / "step_batch/user"
            put(folder / "cgroup.freeze", f"{int(frozen)}\n")
            put(folder / "cgroup.events", f"populated 1\nfrozen {int(frozen)}\n")

    def end(self, job: int) -> None:
        """The control group goes."""
        one = self._jobs.pop(job)
        self._gone += one.used
        one.gauge.close()
        for folder in one.folder:
            shutil.rmtree(folder)

    def step(self, length_ns: int) -> Worked:
        worked = Worked()
        for job, one in self._jobs.items():
            worked.jobs[job] = used = round(one.cpus * length_ns)
            one.used += used
            one.gauge.show(self._text(one.used))
        if self._top is not None:
            jobs = self._gone + sum(one.used for one in self._jobs.values())
            self._top.show(self._text(jobs))
        return worked

    def _text(self, used_ns: int) -> str:
        return str(used_ns) if self._node.cgroup_version == 1 else _v2(used_ns)

    @property
    def _scope(self) -> Path:
        return self._root / "system.slice" / f"{self._node.name}_slurmstepd.scope"

    def _make_top(self) -> Gauge | None:
        if self._node.cgroup_version == 1:
            top = self._root / "cpuacct" / f"slurm_{self._node.name}"
            return Gauge(top / "cpuacct.usage", "0")
        put(self._scope / "system" / "cpu.stat", _v2(0))
        return Gauge(self._scope / "cpu.stat", _v2(0))


def _v2(used_ns: int) -> str:
    return f"usage_usec {used_ns // 1000}\nuser_usec {used_ns // 1000}\nsystem_usec 0"


def ticks(worked_ns: int) -> int:
    """/proc/stat counts hundredths of a second."""
    return worked_ns // (NS // 100)


def _usage(folder: Path) -> int | None:
    try:
        with open(f"{folder}/cpuacct.usage", "rb") as file:  # noqa: PTH123 - many times a second
            return int(file.read())
    except (OSError, ValueError):
        return None


def _folders(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if pattern.fullmatch(name)]  # noqa: PTH208
    except OSError:
        return []
