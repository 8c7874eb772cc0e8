"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, text: str, *, durable: bool) -> None:
    """Replace a file's content in one step; ``durable`` waits until the disk has it.

    Raises:
        OSError: the old content, if any, still stands.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        _write(temporary, text.encode(), durable=durable)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        _sync_directory(path.parent)


def _write(path: Path, raw: bytes, *, durable: bool) -> None:
    """By the descriptor alone: the agent does this once a second for as long as the node is up."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(raw)
        while left:
            left = left[os.write(descriptor, left) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
