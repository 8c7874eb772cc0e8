"""What goes wrong with a lab, in one line, and the end of the log that explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TAIL_LINES = 12


class LabError(Exception):
    """The lab cannot do what was asked; the first line names the part and the reason."""


def with_log(message: str, log: Path) -> LabError:
    """The error, followed by the last lines of the log of the part that failed."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        lines = []
    return LabError("\n".join([message, *(f"  {log.name}: {line}" for line in lines)]))
