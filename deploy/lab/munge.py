"""A munged of the lab's own: its own key, so that nothing outside can speak to this cluster."""

from __future__ import annotations

import os
import secrets
import shutil
from typing import TYPE_CHECKING

from .processes import ProcessSpec

if TYPE_CHECKING:
    from pathlib import Path

NAME = "munged"
_USER = "munge"


def prepare(folder: Path) -> None:
    """The folder with a new key; munged insists on these modes."""
    folder.mkdir(mode=0o755)
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    for path in (folder, key):
        shutil.chown(path, _USER, _USER)
    folder.chmod(0o755)


def socket_of(folder: Path) -> Path:
    """Where clients find it: slurm.conf's AuthInfo, and carbonsched's munge socket."""
    return folder / "munge.socket"


def spec(folder: Path, log: Path) -> ProcessSpec:
    """munged in the foreground."""
    return ProcessSpec(
        name=NAME,
        argv=(
            "/usr/sbin/munged",
            "--foreground",
            f"--socket={socket_of(folder)}",
            f"--key-file={folder / 'munge.key'}",
            f"--pid-file={folder / 'munged.pid'}",
            f"--seed-file={folder / 'munged.seed'}",
            "--origin=127.0.0.1",
            f"--num-threads={max(2, os.cpu_count() or 2)}",
        ),
        log=log,
        user=_USER,
    )
