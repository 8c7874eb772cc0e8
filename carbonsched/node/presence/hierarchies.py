"""Slurm's control groups as files: version 1 with a tree for each controller, and version 2.

Everything here runs once a second for each job, so paths are strings and files are read with the
plain system calls.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from carbonsched.node.presence.sluids import SLUID_PATTERN

_UID = re.compile(r"uid_([0-9]{1,10})")
_JOB = re.compile(rf"job_([0-9]{{1,10}})|({SLUID_PATTERN})")
_MOST_BYTES = 65_536
_MB = 1_048_576
_NO_LIMIT = 1 << 60
"""Version 1 says "no limit" as the largest number of pages in bytes, about 2^63."""


@dataclass(frozen=True, slots=True)
class Group:
    """A job's directory; the job's number is unknown (0) where a SLUID names it."""

    path: str
    inode: int
    job_id: int
    sluid: str = ""
    uid: int | None = None


class Hierarchy(Protocol):
    """One place where Slurm may have its groups."""

    def groups(self) -> list[Group] | None:
        """The jobs' groups; ``None`` where this hierarchy is not in use."""
        ...

    def inode(self) -> int:
        """Names this hierarchy's top; 0 where there is none."""
        ...

    def all_ns(self) -> int | None:
        """CPU time of all that is or was in it, but Slurm's own processes."""
        ...

    def cpu_ns(self, group: Group) -> int | None:
        """A job's CPU time; ``None`` if it is gone or not counted."""
        ...

    def memory_mb(self, group: Group) -> int | None:
        """A job's memory limit, if it has one."""
        ...

    def cpus(self, group: Group) -> int | None:
        """How many of the node's CPUs a job may use, if that is not all of them."""
        ...

    def frozen(self, group: Group) -> bool:
        """Whether all steps of a job are frozen."""
        ...

    def empty(self, group: Group) -> bool:
        """Whether no process is left in it; false where that cannot be read."""
        ...


class V1Hierarchy:
    """``cpuacct/slurm/uid_U/job_J``, and the same below ``memory``, ``cpuset``, ``freezer``."""

    def __init__(self, cgroupfs: Path, mount: str, name: str) -> None:
        self._root = str(cgroupfs / mount / name)
        self._others = {
            controller: str(cgroupfs / controller / name)
            for controller in ("memory", "cpuset", "freezer")
        }

    def groups(self) -> list[Group] | None:
        """The jobs' groups; ``None`` where there is no such directory."""
        users = _entries(self._root)
        if users is None:
            return None
        return [
            group
            for user in users
            if (uid := _UID.fullmatch(user.name)) is not None
            for group in _jobs(user.path, int(uid[1]))
        ]

    def inode(self) -> int:
        """Of the top group."""
        return _inode(self._root)

    def all_ns(self) -> int | None:
        """The top group's own count: it keeps what removed groups had used."""
        return _number(f"{self._root}/cpuacct.usage")

    def cpu_ns(self, group: Group) -> int | None:
        """``cpuacct.usage`` is in nanoseconds."""
        return _number(f"{group.path}/cpuacct.usage")

    def memory_mb(self, group: Group) -> int | None:
        """Present with ``ConstrainRAMSpace``: the allocation times ``AllowedRAMSpace``."""
        limit = _number(f"{self._of(group, 'memory')}/memory.limit_in_bytes")
        return None if limit is None or limit >= _NO_LIMIT else limit // _MB

    def cpus(self, group: Group) -> int | None:
        """Present with ``ConstrainCores``; counted in hardware threads."""
        return _strict(
            _read(f"{self._of(group, 'cpuset')}/cpuset.cpus"),
            _read(f"{self._others['cpuset']}/cpuset.cpus"),
        )

    def frozen(self, group: Group) -> bool:
        """Slurm freezes each step, not the job."""
        steps = _steps(self._of(group, "freezer"))
        states = (_read(f"{step}/freezer.state") for step in steps)
        return _all_true(state == b"FROZEN\n" for state in states if state is not None)

    def empty(self, group: Group) -> bool:
        """Also by the freezer, in which ``proctrack/cgroup`` has every process of a job."""
        return _no_process(group.path) and _no_process(self._of(group, "freezer"))

    def _of(self, group: Group, controller: str) -> str:
        return self._others[controller] + group.path[len(self._root) :]


class V2Hierarchy:
    """``slurmstepd.scope/job_J``, or a SLUID in place of ``job_J``."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def groups(self) -> list[Group] | None:
        """The jobs' groups; ``None`` where there is no such directory."""
        return None if not os.path.isdir(self._root) else list(_jobs(self._root, None))  # noqa: PTH112 - each second: no Path

    def inode(self) -> int:
        """Of the scope."""
        return _inode(self._root)

    def all_ns(self) -> int | None:
        """The scope's count less ``system``, in which slurmstepd starts and keeps it alive."""
        everything = _usage_ns(self._root)
        return None if everything is None else everything - (_usage_ns(f"{self._root}/system") or 0)

    def cpu_ns(self, group: Group) -> int | None:
        """``usage_usec`` of ``cpu.stat``; the steps' slurmstepd are in it."""
        return _usage_ns(group.path)

    def memory_mb(self, group: Group) -> int | None:
        """Present with ``ConstrainRAMSpace``."""
        limit = _number(f"{group.path}/memory.max")  # "max" without a limit
        return None if limit is None else limit // _MB

    def cpus(self, group: Group) -> int | None:
        """Present with ``ConstrainCores``; counted in hardware threads."""
        return _strict(
            _read(f"{group.path}/cpuset.cpus"),
            _read(f"{self._root}/cpuset.cpus.effective"),
        )

    def frozen(self, group: Group) -> bool:
        """Slurm freezes the users' part of each step."""
        states = (_read(f"{step}/user/cgroup.freeze") for step in _steps(group.path))
        return _all_true(state == b"1\n" for state in states if state is not None)

    def empty(self, group: Group) -> bool:
        """The kernel keeps account of the whole subtree."""
        return b"populated 0" in (_read(f"{group.path}/cgroup.events") or b"").split(b"\n")


def _entries(directory: str) -> list[os.DirEntry[str]] | None:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return None


def _jobs(directory: str, uid: int | None) -> Iterator[Group]:
    for entry in _entries(directory) or ():
        match = _JOB.fullmatch(entry.name)
        if match is not None:
            yield Group(entry.path, entry.inode(), int(match[1] or 0), match[2] or "", uid)


def _steps(directory: str) -> Iterator[str]:
    for entry in _entries(directory) or ():
        if entry.name.startswith("step_"):
            yield entry.path


def _all_true(states: Iterator[bool]) -> bool:
    """Like ``all``, but nothing is not everything; stops at the first that is not."""
    return next(states, False) and all(states)


def _no_process(directory: str) -> bool:
    """Of a group and all below it; one that is not there has none."""
    return all(_read(f"{folder}/cgroup.procs") == b"" for folder, _, _ in os.walk(directory))


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - each second: no Path
    except OSError:
        return 0


def _read(path: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, _MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _number(path: str) -> int | None:
    try:
        return int(_read(path) or b"")
    except ValueError:
        return None


def _usage_ns(directory: str) -> int | None:
    words = (_read(f"{directory}/cpu.stat") or b"").split()
    try:
        return int(words[words.index(b"usage_usec") + 1]) * 1000
    except (ValueError, IndexError):
        return None


def _strict(some: bytes | None, every: bytes | None) -> int | None:
    """How many CPUs a list such as ``0-3,8`` has, unless it has all of them or is none."""
    try:
        ours, all_cpus = _cpu_list(some or b""), _cpu_list(every or b"")
    except ValueError:
        return None
    return len(ours) if ours and ours < all_cpus else None


def _cpu_list(text: bytes) -> frozenset[int]:
    cpus: set[int] = set()
    for word in text.strip().split(b",") if text.strip() else ():
        first, _, last = word.partition(b"-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)
