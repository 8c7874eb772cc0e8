"""What time it is, three ways."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from carbonsched.errors import MeterError


class Clock(Protocol):
    """Wall time places energy, steady time measures lengths, the boot says what was reset."""

    @property
    def boot_id(self) -> str:
        """Names this boot of the machine; cumulative counters begin anew with it."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970; may jump either way."""
        ...

    def steady_ns(self) -> int:
        """Nanoseconds since boot, sleep included; never goes back within one boot."""
        ...


class SystemClock:
    """The machine's clocks."""

    def __init__(self, procfs: Path) -> None:
        path = procfs / "sys/kernel/random/boot_id"
        try:
            self.boot_id = path.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise MeterError(f"{path}: {error}; is --path.procfs right?") from None

    def wall_ns(self) -> int:
        """Nanoseconds since 1970."""
        return time.time_ns()

    def steady_ns(self) -> int:
        """Nanoseconds since boot, sleep included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
