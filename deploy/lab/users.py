"""Real users of the host: added when they are missing, and only those removed again."""

from __future__ import annotations

import pwd
import subprocess
from typing import TYPE_CHECKING, Any

from .failure import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TIMEOUT_S = 30


def exists(name: str) -> bool:
    """Whether the host knows the user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def add(name: str, home: str) -> None:
    """Adds the user with a group of the same name; the home is made elsewhere."""
    options = ["--user-group", "--no-create-home", "--home-dir", home, "--shell", "/bin/bash"]
    _run(["/usr/sbin/useradd", *options, "--comment", "carbonsched lab", name])


def remove(name: str) -> None:
    """Removes the user and its group."""
    if exists(name):
        _run(["/usr/sbin/userdel", "--force", name])


def run_as(
    name: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: Path,
    stdin: str,
    timeout_s: float,
) -> subprocess.CompletedProcess[str]:
    """Runs the command with the user's rights and none of the caller's environment or groups."""
    identity: dict[str, Any] = {}
    if name != "root":
        identity = {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}
    return subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        umask=0o022,
        timeout=timeout_s,
        check=False,
        **identity,
    )


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip()}")
