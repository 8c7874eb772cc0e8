"""CPU time and allocation of the jobs on this node, from the control groups that Slurm makes.

Where they are, from Slurm's sources (``src/plugins/cgroup``, ``src/interfaces/cgroup.c``):

=========== =============== ==================================================================
cgroup      Slurm           job's directory
=========== =============== ==================================================================
version 1   22.05 to 26.05  ``CONTROLLER/slurm[_NODE]/uid_U/job_J``
version 2   22.05 to 25.11  ``system.slice/[NODE_]slurmstepd.scope/job_J``
version 2   26.05           ``.../slurmstepd.scope/SLUID``, or ``job_J`` with ``CgroupJobIdPaths``
=========== =============== ==================================================================

``_NODE`` is there where Slurm was built for several slurmd on a machine (as Debian does): only
this node's groups count, the plain name where there is no other. A SLUID is an ``s`` and 13
characters; see ``sluids``.

Seen on a real cluster of 22.05.8 with version 1: names, CPU time, that a parent keeps the time of
its removed children, limits, and that ``scontrol suspend`` freezes each step's freezer group after
two seconds. Only read in the sources: version 2, where a step's ``user`` group is frozen by
``cgroup.freeze``, and SLUIDs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from carbonsched.node.meters.sysfs import OpenFile
from carbonsched.node.presence.hierarchies import Group, Hierarchy, V1Hierarchy, V2Hierarchy
from carbonsched.node.presence.sluids import SLUID_PATTERN, Sluids

_V1_MOUNTS = ("cpuacct", "cpu,cpuacct", "cpuacct,cpu")
_V2_MOUNTS = ("", "unified")
_LIMITS_EVERY = 64
"""Limits are read again once in so many samples: Slurm changes them with ``scontrol update``."""
_PROCESSES_EVERY = 16
"""Processes of a group whose CPU time stands still are looked for once in so many samples."""
_STILL_NS = 20_000_000
"""A job that used more than this since the last sample is not suspended; slurmstepd, which version
2 counts in, uses less."""


@dataclass(frozen=True, slots=True)
class CpuReading:
    """A job's cumulative CPU time; another ``inode`` is another control group, from zero.

    ``memory_mb`` is the job's memory limit and ``cpus`` the size of its cpuset, ``None`` where
    Slurm does not constrain them. ``sluid`` is the group's name where that is one.
    """

    job_id: int
    uid: int | None
    cpu_ns: int
    inode: int
    memory_mb: int | None = None
    cpus: int | None = None
    suspended: bool = False
    sluid: str = ""


@dataclass(frozen=True, slots=True)
class CgroupSample:
    """What the control groups say at one instant.

    ``all_ns`` is the CPU time of all jobs that there ever were in Slurm's hierarchy, those whose
    groups are gone included, but not of groups that are there and of no known job; ``None`` where
    it cannot be read. It counts from zero in another ``hierarchy``, which is 0 where there is none.

    A group without a process is no sign of a job: Slurm removes it, but fails to if slurmstepd was
    killed. It has no reading. ``left`` is the CPU time of such groups by inode, from which they go
    on if they are taken into use again.
    """

    readings: tuple[CpuReading, ...] = ()
    all_ns: int | None = None
    hierarchy: int = 0
    left: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Known:
    """What was read of a group before."""

    cpu_ns: int
    memory_mb: int | None = None
    cpus: int | None = None
    samples_left: int = 0
    suspended: bool = False
    empty: bool = False
    unsearched: int = _PROCESSES_EVERY


class JobCgroups:
    """The job control groups of one node."""

    def __init__(self, cgroupfs: Path, procfs: Path, node: str) -> None:
        self._procfs = procfs
        v1 = [f"slurm_{node}", "slurm"]
        v2 = [f"{node}_slurmstepd.scope", "slurmstepd.scope"]
        self._hierarchies: list[Hierarchy] = [
            V1Hierarchy(cgroupfs, mount, name) for mount in _V1_MOUNTS for name in v1
        ]
        self._hierarchies += [
            V2Hierarchy(cgroupfs / mount / "system.slice" / name)
            for mount in _V2_MOUNTS
            for name in v2
        ]
        self._known: dict[int, _Known] = {}
        self._sluids = Sluids(procfs)
        named = re.escape(node)
        self._in_process = re.compile(
            rf"/slurm(?:_{named})?/uid_[0-9]+/job_(?P<v1>[0-9]{{1,10}})(?:/|$)"
            rf"|/(?:{named}_)?slurmstepd\.scope/"
            rf"(?:job_(?P<v2>[0-9]{{1,10}})|(?P<sluid>{SLUID_PATTERN}))(?:/|$)",
            re.MULTILINE,
        )

    def read(self, sluids: Mapping[str, int] | None = None) -> CgroupSample:
        """Every job's reading; a job that vanishes meanwhile is left out.

        ``sluids`` are the jobs that prologs have told with their SLUIDs.
        """
        self._sluids.told(sluids or {})
        for hierarchy in self._hierarchies:
            groups = hierarchy.groups()
            if groups is not None:
                return self._sample(hierarchy, groups)
        return CgroupSample()

    def job_of_process(self, pid: int) -> int | None:
        """The job on this node in whose control group a process is, if any."""
        try:
            text = (self._procfs / str(pid) / "cgroup").read_text(errors="replace")
        except OSError:
            return None
        match = self._in_process.search(text)
        if match is None:
            return None
        if match["sluid"] is not None:
            return self._sluids.job(match["sluid"])
        return int(match["v1"] or match["v2"])

    def process_exists(self, pid: int) -> bool:
        """Whether there is still such a process."""
        return (self._procfs / str(pid)).exists()

    def _sample(self, hierarchy: Hierarchy, groups: Iterable[Group]) -> CgroupSample:
        all_ns = hierarchy.all_ns()
        readings = []
        left = {}
        known: dict[int, _Known] = {}
        for group in groups:
            cpu_ns = hierarchy.cpu_ns(group)
            if cpu_ns is None:
                continue
            known[group.inode] = about = self._look(hierarchy, group, cpu_ns)
            if about.empty:
                left[group.inode] = cpu_ns
                continue
            job_id = self._sluids.find(group) if group.sluid else group.job_id
            if job_id is None:
                all_ns = None if all_ns is None else all_ns - cpu_ns
                continue
            readings.append(
                CpuReading(
                    job_id, group.uid, cpu_ns, group.inode,
                    about.memory_mb, about.cpus, about.suspended, group.sluid,
                )
            )  # fmt: skip
        self._known = known
        return CgroupSample(tuple(readings), all_ns, hierarchy.inode(), left)

    def _look(self, hierarchy: Hierarchy, group: Group, cpu_ns: int) -> _Known:
        """Limits now and then; whether it is frozen or empty only if it has hardly run."""
        known = self._known.get(group.inode) or _Known(cpu_ns)
        used_ns = cpu_ns - known.cpu_ns
        known.cpu_ns = cpu_ns
        known.unsearched += 1
        if used_ns:
            known.empty = False
        elif known.unsearched > _PROCESSES_EVERY:
            known.empty, known.unsearched = hierarchy.empty(group), 0
        if known.empty:
            return known
        known.suspended = used_ns < _STILL_NS and hierarchy.frozen(group)
        known.samples_left -= 1
        if known.samples_left < 0:
            known.memory_mb, known.cpus = hierarchy.memory_mb(group), hierarchy.cpus(group)
            # A group is made first and gets its limits a moment later.
            missing = known.memory_mb is None or known.cpus is None
            known.samples_left = _LIMITS_EVERY // 8 if missing else _LIMITS_EVERY
        return known


class NodeCpu:
    """CPU time of the whole node, from /proc/stat."""

    def __init__(self, procfs: Path) -> None:
        self._path = procfs / "stat"
        self._open = OpenFile(str(self._path))
        self._tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

    def busy_ns(self) -> int | None:
        """Cumulative: user, nice, system, irq and softirq; ``None`` if unreadable."""
        try:
            words = self._open.text().split("\n", 1)[0].split()
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
