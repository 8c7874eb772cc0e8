"""Plain lines on standard error, and trouble told without flooding the log."""

from __future__ import annotations

import sys
import time
from typing import TextIO

REPEAT_S = 600.0


class Journal:
    """Writes lines; the same trouble at most once in ten minutes until it is over."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream
        self._troubles: dict[str, tuple[str, float]] = {}
        self._said: set[str] = set()

    def say(self, text: str) -> None:
        """One line."""
        line = f"{self._name}: {' '.join(text.split())}\n"
        stream = self._stream or sys.stderr
        try:
            stream.write(line)
            stream.flush()
        except (OSError, ValueError):
            return  # a log that cannot be written must not stop the metering

    def once(self, text: str) -> None:
        """One line, the first time only."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def trouble(self, key: str, text: str) -> None:
        """Say that something fails, unless that was said lately."""
        now = time.monotonic()
        known = self._troubles.get(key)
        if known is not None and known[0] == text and now - known[1] < REPEAT_S:
            return
        self._troubles[key] = (text, now)
        self.say(text)

    def over(self, key: str, text: str) -> None:
        """Say that a trouble is over, if there was one."""
        if self._troubles.pop(key, None) is not None:
            self.say(text)
