"""A terminal of its own for a program whose output is passed on to one."""

from __future__ import annotations

import fcntl
import pty
import termios
from contextlib import suppress

_OUTPUT_MODES = 1  # index into what tcgetattr answers


class Terminal:
    """As the terminal ``target``, but for what that does to the output: it does so itself.

    A program writes to ``inner``; what it writes is read from ``outer``.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.outer, self.inner = pty.openpty()
        with suppress(termios.error):
            modes = termios.tcgetattr(target)
            modes[_OUTPUT_MODES] &= ~termios.OPOST
            termios.tcsetattr(self.inner, termios.TCSANOW, modes)
        self.resize()

    def resize(self) -> None:
        """Take on the size of the real one."""
        with suppress(OSError):
            size = fcntl.ioctl(self._target, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self.outer, termios.TIOCSWINSZ, size)
