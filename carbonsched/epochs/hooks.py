"""What the frameworks' callbacks share. It imports none of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from carbonsched.epochs.tracker import EpochTracker

LOCAL_RANKS = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")
"""Where launchers say which process of the node this is; the innermost launcher's first."""
_ALMOST = 1e-6


def harmless(hook: Callable[..., None]) -> Callable[..., None]:
    """A hook from which no error of ours reaches the training."""

    @wraps(hook)
    def guarded(*arguments: Any, **named: Any) -> None:
        with suppress(Exception):
            hook(*arguments, **named)

    return guarded


def first_of_the_node() -> bool:
    """Whether this process is the first one on its node, or the only one as far as is known."""
    told = [os.environ[name] for name in LOCAL_RANKS if name in os.environ]
    return not told or told[0] == "0"


class CallbackMarks:
    """The marks of one run of a framework's training loop.

    An epoch of which the loop runs a part only, as it goes on from the middle of one or stops
    there, is not counted. In a job of several processes one on each node marks.
    """

    def __init__(self) -> None:
        self._tracker: EpochTracker | None = None

    def begin(self, epochs: float | None, *, first_here: bool) -> None:
        """The loop starts; ``epochs`` is their number with those of earlier runs.

        A fraction is rounded up: that epoch begins.
        """
        self.stop()
        count = None if epochs is None else math.ceil(epochs - _ALMOST)
        self._tracker = EpochTracker(count) if first_here else None

    def start(self, epoch: int | None = None) -> None:
        """An epoch starts, with its number from 0; one before it that was complete has ended."""
        if self._tracker is not None:
            self._tracker.epoch_start(epoch)

    def step(self) -> None:
        """A step is done."""
        if self._tracker is not None:
            self._tracker.step()

    def end(self) -> None:
        """The epoch has ended."""
        if self._tracker is not None:
            self._tracker.epoch_end()

    def stop(self) -> None:
        """What runs is not a whole epoch, or the loop is over."""
        if self._tracker is not None:
            self._tracker.stop()


def is_whole(epochs: float) -> bool:
    """Whether a count of epochs, which is a sum of fractions, is at the end of one."""
    return abs(epochs - round(epochs)) < _ALMOST
