"""A bar for work that takes long: what the administrator's commands show meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_S = 2.0
"""Work that is over sooner shows nothing."""


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's stderr, once the work has lasted two seconds; call it to advance."""
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    task = bar.add_task(name, total=total)
    began = time.monotonic()
    shown = False

    def advance(count: int) -> None:
        nonlocal shown
        if not shown and time.monotonic() - began > QUIET_S:
            bar.start()
            shown = True
        bar.advance(task, count)

    try:
        yield advance
    finally:
        if shown:
            bar.stop()
