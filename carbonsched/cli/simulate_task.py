"""``python -m carbonsched.cli.simulate_task TASKS NUMBER``: a task of a simulation's job array."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from carbonsched.cli.common import guarded
from carbonsched.errors import RequestError


def main(argv: Sequence[str]) -> int:
    """Run one; its exit status."""
    return guarded("carbonsched simulate", lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    from carbonsched.sim.array import run_task

    if len(argv) != 2 or not argv[1].isdigit():
        raise RequestError("a task has the file of all tasks and its number")
    try:
        run_task(Path(argv[0]), int(argv[1]))
    except OSError as error:
        raise RequestError(f"{error.filename}: {error.strerror}; nothing written") from None
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
