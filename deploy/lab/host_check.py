"""Whether this machine can run a lab at all, said before anything is touched."""

from __future__ import annotations

import os
from pathlib import Path

from .failure import LabError

_PROGRAMS = (
    "/usr/sbin/munged",
    "/usr/sbin/mariadbd",
    "/usr/bin/mariadb-install-db",
    "/usr/sbin/slurmdbd",
    "/usr/sbin/slurmctld",
    "/usr/sbin/slurmd",
    "/usr/bin/sacctmgr",
    "/usr/sbin/useradd",
)
_LONGEST_DIRECTORY = 70  # a Unix socket's path may have 107 bytes


def unfit() -> str | None:
    """Why no lab can run here, in one line; None when one can."""
    if not Path("/proc/self/stat").exists():
        return "a lab needs Linux"
    if os.geteuid() != 0:
        return "a lab needs root: it starts daemons and runs jobs as real users"
    missing = [program for program in _PROGRAMS if not Path(program).exists()]
    if missing:
        return f"{missing[0]} is missing: run deploy/install-packages"
    return None


def check_directory(directory: Path) -> None:
    """Raises LabError when a lab cannot be made in this (new) directory."""
    if directory.exists():
        raise LabError(f"{directory} exists already; a lab makes a new directory")
    if len(str(directory)) > _LONGEST_DIRECTORY:
        raise LabError(f"{directory} is too long for the sockets inside it")
    for parent in directory.parents:
        if parent.exists() and not parent.stat().st_mode & 0o001:
            raise LabError(f"{parent} cannot be entered by the lab's users; choose another place")
