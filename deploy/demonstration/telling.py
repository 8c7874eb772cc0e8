"""How the demonstration speaks: chapters, steps, and what commands printed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_BOLD, _GREEN, _RED, _PLAIN = "\033[1m", "\033[32m", "\033[31m", "\033[0m"


class Telling:
    """Writes lines with the seconds since the beginning; colour on a terminal only."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._began = time.monotonic()
        self._colour = out.isatty() and "NO_COLOR" not in os.environ

    def chapter(self, title: str) -> None:
        """A heading."""
        self._write("")
        self._write(self._painted(_BOLD, f"== {title}"))

    def step(self, text: str) -> None:
        """Something that has just happened."""
        self._write(f"{time.monotonic() - self._began:5.0f} s  {text}")

    def lines(self, *lines: str) -> None:
        """What follows a step."""
        for line in lines:
            self._write(f"         {line}")

    def command(self, user: str, line: str) -> None:
        """A command that a user types."""
        self._write(self._painted(_BOLD, f"{user}$ {line}"))

    def output(self, text: str) -> None:
        """What a command printed, as it is."""
        self._write(text.rstrip("\n"))

    def verdict(self, text: str, *, happened: bool) -> None:
        """Whether a step really happened."""
        mark = self._painted(_GREEN, " yes ") if happened else self._painted(_RED, "  NO ")
        self._write(f"[{mark}] {text}")

    def failed(self, text: str) -> None:
        """The one line that says why it ended."""
        self._write(self._painted(_RED, f"deploy/demo: {text}"))

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour else text

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()
