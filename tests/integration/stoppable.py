"""A trial whose running jobs may be stopped: short graces, and a Slurm that requeues soon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lab import Lab
from lab.munge import socket_of
from trial import Grid, Trial

GRACE_S, LEAST_RUN_S, SLURMS_DELAY_S = 3, 8, 5


@contextmanager
def stoppable_trial(folder: Path, programs: Path) -> Iterator[Trial]:
    """A cluster and its grid in a folder that every user can enter."""
    folder.mkdir(mode=0o755)
    config = Trial.config(folder / "lab", programs)
    socket = socket_of(config.directory / "munge")
    # Slurm lets a requeued job wait for as long as credentials are valid: two minutes by default.
    short = f"AuthInfo=socket={socket},cred_expire={SLURMS_DELAY_S}"
    checkpoints = (
        ("grace", f"{GRACE_S} s"),
        ("cost", "1 s"),
        ("least_run", f"{LEAST_RUN_S} s"),
    )
    with Lab.started(replace(config, slurm_conf=(short,))) as lab:
        grid = Grid(folder / "grid")
        yield Trial(lab, programs, grid, checkpoints=checkpoints, hour_s=1.0)  # settles soon
