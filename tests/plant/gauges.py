"""Files as the kernel shows them: always there whole, also to a reader that keeps them open."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

WIDTH = 48
"""Every text is padded with newlines to this length, so that a write never changes the length and
goes to one page at once. Readers strip white space, as they must for sysfs."""


class Gauge:
    """One small file that is written over in place, as a reader with an open file expects."""

    def __init__(self, path: Path, text: str = "") -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._fault = ""
        self._text = ""
        self.show(text)

    def show(self, text: str | int) -> None:
        """The file's content from now on; a faulty file stays as it is."""
        self._text = f"{text}\n"
        if not self._fault:
            self._write(self._text)

    def fail(self, kind: str) -> None:
        """``garbage``, ``empty``, ``denied`` (to all but the mighty) or ``absent``; '' heals."""
        healed, self._fault = self._fault, kind
        if healed == "absent" and kind != "absent":
            os.close(self._file)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        if kind == "garbage":
            self._write("<?\xff not a number\n")
        elif kind in ("empty", "absent", "denied"):
            os.ftruncate(self._file, 0)  # also for readers that keep it open
        if kind == "absent":
            self.path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self.path.chmod(0 if kind == "denied" else 0o644)
        if not kind:
            self._write(self._text)

    def close(self) -> None:
        """Give the file back to the kernel; it stays."""
        os.close(self._file)

    def _write(self, text: str) -> None:
        raw = text.encode("latin-1")
        os.pwrite(self._file, raw.ljust(WIDTH, b"\n") if len(raw) < WIDTH else raw, 0)


def put(path: Path, text: str) -> None:
    """A file that never changes, replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.replace(path)
