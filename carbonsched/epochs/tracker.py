"""Tells the node's agent when an epoch starts and ends.

It must never disturb a training: without an agent every call is a silent no-op of microseconds,
nothing waits, nothing is raised. A script imports this before anything else of ours, so it loads
little: the site file is read when a tracker is made.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from carbonsched.epochs.numbers import whole
from carbonsched.epochs.step_times import StepTimes

if TYPE_CHECKING:
    import socket

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
    checkpoint. ``step()`` after each step, which is optional, lets it be told what each twentieth
    of an epoch took. In a job of several processes each may mark; the first start and the first end
    count. Numbers that make no sense are taken as not given, and arguments that are not known are
    left out: a slip of the pen ends no training.
    """

    def __init__(self, epochs: int | None = None, *, first: int = 0, **_unknown: Any) -> None:
        self._asked = epochs
        self._epochs = whole(epochs, least=1)
        self._next = whole(first, least=0) or 0
        self._steps: StepTimes | None = None
        self._path = _socket_path()
        if self._path is not None:
            with suppress(Exception):
                _new_socket().close()  # whatever is to be loaded is loaded now, not in an epoch
        self._refused: tuple[int, int] | None = None
        self._socket: socket.socket | None = None
        self._heard = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __del__(self) -> None:
        with suppress(Exception):
            self.stop()

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or one in another process, has no socket: it makes its own."""
        return self.__dict__ | {"_socket": None, "_steps": None}

    def __iter__(self) -> Iterator[int]:
        """The numbers of the epochs, each marked as it starts and ends; endless without a count.

        Raises:
            TypeError: the count is no number, as ``range`` does; the loop could not end.
        """
        end = None if self._asked is None else whole(self._asked)
        if end is None and self._asked is not None:
            raise TypeError(f"EpochTracker(epochs={self._asked!r}) is not a number of epochs")
        return self._loop(end)

    @property
    def epochs(self) -> int | None:
        """How many epochs the training runs in all, as far as is known."""
        return self._epochs

    @epochs.setter
    def epochs(self, epochs: int | None) -> None:
        self._asked, self._epochs = epochs, whole(epochs, least=1)

    def epoch_start(self, epoch: int | None = None) -> None:
        """An epoch starts; one that was still running has ended.

        ``epoch`` is its number counted from 0; without it, it is the next one.
        """
        if self._steps is not None:
            self.epoch_end()
        if epoch is not None:
            number = whole(epoch, least=0)
            self._next = self._next if number is None else number
        self._heard = self._send("start")
        self._steps = StepTimes()

    def step(self) -> None:
        """A step of the epoch, such as a batch, is done."""
        steps = self._steps
        if steps is not None:
            steps.step()

    def epoch_end(self) -> None:
        """The epoch has ended."""
        if self._steps is None:
            return
        if self._heard:  # the end of an epoch whose start nobody heard says nothing
            self._send("end")
        self._steps = None
        self._next += 1

    def stop(self) -> None:
        """The training is over; an epoch that has not ended is not counted."""
        self._steps = None
        ours, self._socket = self._socket, None
        if ours is not None:
            ours.close()

    def _loop(self, end: int | None) -> Iterator[int]:
        try:
            while end is None or self._next < end:
                self.epoch_start()
                yield self._next
                self.epoch_end()
        finally:
            self.stop()

    def _send(self, event: str) -> bool:
        """Whether the agent has it."""
        if self._path is None:
            return False
        try:
            for _ in range(2):  # if the agent that listened has gone, there may be another
                ours = self._socket or self._connect(self._path)
                if ours is None:
                    return False
                try:
                    ours.send(self._mark(event))
                except ConnectionError:
                    self._socket = None
                    ours.close()
                else:
                    return True
        except Exception:  # noqa: BLE001, S110 - whatever it is, the training goes on
            pass
        return False

    def _connect(self, path: str) -> socket.socket | None:
        """A socket if somebody listens; asked first, as a call that fails costs more than the rest.

        Nobody can listen again on a socket that refused: a new agent makes a new one.
        """
        if self._refused is not None:
            if self._refused == _identity(path):
                return None
            self._refused = None
        if not os.access(path, os.W_OK):
            return None
        made = _new_socket()
        try:
            made.connect(path)
        except OSError as error:
            made.close()
            if isinstance(error, ConnectionRefusedError):
                self._refused = _identity(path)
            return None
        self._socket = made
        return made

    def _mark(self, event: str) -> bytes:
        """The datagram, in JSON; written by hand, as the json module costs more than the rest."""
        text = (
            f'{{"v":1,"event":"{event}","epoch":{self._next + 1}'
            f',"epochs":{self._epochs or "null"},"at_ns":{time.time_ns()}'
        )
        steps = self._steps
        if event == "end" and steps is not None and steps.count:
            text += f',"steps":{steps.count},"part_ends_us":{steps.part_ends_us()}'
            mean_s, deviation_s = steps.spread()
            if deviation_s is not None:
                text += f',"step_mean_s":{mean_s},"step_sd_s":{deviation_s}'
        return f"{text}}}".encode()


def _socket_path() -> str | None:
    """Where the node's agent listens, or ``None`` outside a job of a site that has one."""
    named = os.environ.get(SOCKET_VARIABLE)
    if named:
        return named
    with suppress(Exception):
        from carbonsched.site import load_site  # noqa: PLC0415 - it loads more than all of ours

        path = load_site().agent.socket
        node = os.environ.get("SLURMD_NODENAME")
        if node or "%n" not in path:
            return path.replace("%n", node or "")
    return None


def _new_socket() -> socket.socket:
    import socket  # noqa: PLC0415 - it loads as much as all of ours

    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    return socket.socket(socket.AF_UNIX, kind)


def _identity(path: str) -> tuple[int, int] | None:
    """Which file is at ``path`` now."""
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib costs more to load than all of ours
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns
