"""Small files of the kernel's that are read again and again."""

from __future__ import annotations

import os
from contextlib import suppress

_LONGEST = 256


class OpenFile:
    """One file under /sys, kept open: a reading is one system call.

    The kernel makes a sysfs file's text anew for each read from its beginning.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None

    def text(self) -> str:
        """Its text, without white space around it.

        Raises:
            OSError: it is not there, may not be read, or its device does not answer.
            ValueError: it is not ASCII.
        """
        if self._descriptor is not None:
            with suppress(OSError):  # its device may have gone and come back
                if os.fstat(self._descriptor).st_nlink:
                    return self._read(self._descriptor)
            self.close()
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._read(self._descriptor)

    def number(self) -> int:
        """Its text as a whole number, not negative.

        Raises:
            OSError: as ``text``.
            ValueError: it is something else.
        """
        text = self.text()
        if not text.isdecimal():
            raise ValueError(f"{text[:40]!r} is not a counter's number")
        return int(text)

    def close(self) -> None:
        """Let go of it; the next reading opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @staticmethod
    def _read(descriptor: int) -> str:
        return os.pread(descriptor, _LONGEST, 0).decode("ascii").strip()


def names_in(folder: str) -> list[str]:
    """The sorted names in a folder, none if it is not there.

    Raises:
        PermissionError: it is there and may not be listed.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - a path object costs more than the call
    except PermissionError:
        raise
    except OSError:
        return []


def reason(error: OSError | ValueError) -> str:
    """What went wrong, in words."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
