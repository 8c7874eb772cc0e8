"""Tells the node's agent when an epoch starts and ends.

It must never disturb a training: without an agent every call is a silent no-op of microseconds,
nothing waits, nothing is raised.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from carbonsched.errors import ConfigError
from carbonsched.site import load_site

SOCKET_VARIABLE = "CARBONSCHED_AGENT_SOCKET"


class EpochTracker:
    """Marks the epochs of one training.

    As a loop, which counts from 0 as ``range`` does::

        for epoch in EpochTracker(epochs=10):
            train_one_epoch()

    or around one's own::

        with EpochTracker(epochs=10) as tracker:
            for epoch in range(10):
                tracker.epoch_start()
                train_one_epoch()
                tracker.epoch_end()

    ``first`` is the number of the first epoch, counted from 0, of a training that goes on from a
    checkpoint. ``step()`` after each step, which is optional, lets the spread within an epoch be
    told. In a job of several processes each may mark; the first start and the first end count.
    """

    def __init__(self, epochs: int | None = None, *, first: int = 0) -> None:
        self._epochs = _whole(epochs)
        self._next = _whole(first) or 0
        self._running = False
        self._path = _socket_path()
        self._socket: socket.socket | None = None
        self._steps = 0
        self._step_mean_s = 0.0
        self._step_m2 = 0.0
        self._step_began = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __iter__(self) -> Iterator[int]:
        """The numbers of the epochs, each marked as it starts and ends; endless without a count."""
        try:
            while self._epochs is None or self._next < self._epochs:
                self.epoch_start()
                yield self._next
                self.epoch_end()
        finally:
            self.stop()

    def epoch_start(self) -> None:
        """An epoch starts; one that was still running has ended."""
        if self._running:
            self.epoch_end()
        self._running = True
        self._steps, self._step_mean_s, self._step_m2 = 0, 0.0, 0.0
        self._step_began = time.perf_counter()
        self._send("start")

    def step(self) -> None:
        """A step of the epoch, such as a batch, is done."""
        if not self._running:
            return
        now = time.perf_counter()
        length_s = now - self._step_began
        self._step_began = now
        self._steps += 1
        difference = length_s - self._step_mean_s
        self._step_mean_s += difference / self._steps
        self._step_m2 += difference * (length_s - self._step_mean_s)

    def epoch_end(self) -> None:
        """The epoch has ended."""
        if not self._running:
            return
        self._send("end")
        self._running = False
        self._next += 1

    def stop(self) -> None:
        """The training is over; an epoch that has not ended is not counted."""
        self._running = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, event: str) -> None:
        if self._path is None:
            return
        seen = self._steps > 1
        mark = {
            "v": 1,
            "event": event,
            "epoch": self._next + 1,
            "epochs": self._epochs,
            "at_ns": time.time_ns(),
            "steps": self._steps,
            "step_mean_s": self._step_mean_s if seen else None,
            "step_sd_s": math.sqrt(self._step_m2 / (self._steps - 1)) if seen else None,
        }
        try:
            if self._socket is None:
                kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
                self._socket = socket.socket(socket.AF_UNIX, kind)
            self._socket.sendto(json.dumps(mark).encode(), self._path)
        except OSError:
            return  # no agent, or one too busy: the training goes on


def _socket_path() -> str | None:
    """Where the node's agent listens, or ``None`` outside a job of a site that has one."""
    named = os.environ.get(SOCKET_VARIABLE)
    if named:
        return named
    try:
        path = load_site().agent.socket
    except ConfigError:
        return None
    node = os.environ.get("SLURMD_NODENAME")
    if "%n" in path and not node:
        return None
    return path.replace("%n", node or "")


def _whole(value: object) -> int | None:
    """A count that is one, else ``None``: a wrong argument must not stop a training."""
    return value if isinstance(value, int) and value >= 0 else None
