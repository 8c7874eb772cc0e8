"""Which job a SLUID names, Slurm's other name of a job from 26.05 on.

Nothing computes one from the other. Three places tell, best first:

1. the prolog, to which slurmd gives ``SLURM_JOB_SLUID`` (25.11 and later);
2. the title of the step's slurmstepd, ``slurmstepd: [JOB.STEP]``, which is in the group
   ``step_*/slurm``. It may be cut short, so a number counts only if something follows it;
3. the environment of a process in the group, if it has this SLUID beside its ``SLURM_JOB_ID``.
   A user may set both, to no end but to have the energy booked to another job.

All of this is read in Slurm's sources (``prep_script_slurmd.c``, ``slurmstepd.c``, ``env.c``); the
title was also seen on 22.05.8.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carbonsched.node.presence.hierarchies import Group

SLUID_PATTERN = "s[0-9A-HJKMNP-TV-Z]{13}"
"""An ``s`` and 64 bits in Crockford's base 32, which has no I, L, O and U."""
_TITLE = re.compile(rb"slurmstepd: \[([0-9]{1,10})[^0-9\0]")
_JOB_ID = re.compile(rb"(?:^|\0)SLURM_JOB_ID=([0-9]{1,10})(?:\0|$)")
_MOST_BYTES = 1_048_576
_MOST_PROCESSES = 16
_REMEMBERED = 4096


class Sluids:
    """The jobs whose SLUIDs are known."""

    def __init__(self, procfs: Path) -> None:
        self._procfs = procfs
        self._told: Mapping[str, int] = {}
        self._found: dict[str, int] = {}

    def told(self, sluids: Mapping[str, int]) -> None:
        """What prologs said of the jobs that are here."""
        self._told = sluids

    def job(self, sluid: str) -> int | None:
        """The job of that name, if it is known."""
        return self._told.get(sluid) or self._found.get(sluid)

    def find(self, group: Group) -> int | None:
        """The job of a group; looks at its processes where it is not known yet."""
        job_id = self.job(group.sluid)
        if job_id is None:
            job_id = self._by_title(group) or self._by_environment(group)
            if job_id is not None:
                if len(self._found) >= _REMEMBERED:
                    self._found.clear()
                self._found[group.sluid] = job_id
        return job_id

    def _by_title(self, group: Group) -> int | None:
        for pid in _processes(group.path, "slurm"):
            match = _TITLE.match(_bytes(self._procfs / pid / "cmdline"))
            if match is not None:
                return int(match[1])
        return None

    def _by_environment(self, group: Group) -> int | None:
        for pid in _processes(group.path, "user"):
            text = _bytes(self._procfs / pid / "environ")
            match = _JOB_ID.search(text)
            if match is not None and f"SLURM_JOB_SLUID={group.sluid}".encode() in text.split(b"\0"):
                return int(match[1])
        return None


def _processes(group: str, part: str) -> Iterator[str]:
    """Some processes of the parts ``slurm`` or ``user`` of a job's steps, which have tasks."""
    left = _MOST_PROCESSES
    for step in sorted(Path(group).glob("step_*")):
        for folder, _, _ in os.walk(step / part):
            for pid in _bytes(Path(folder, "cgroup.procs")).decode("ascii", "replace").split():
                if left == 0:
                    return
                left -= 1
                yield pid


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""
