"""Tells the node's agent when an epoch starts and ends.

It must never disturb a training: without an agent every call is a silent no-op of microseconds,
nothing waits, nothing is raised. A script imports this before anything else of ours, so it loads
little: the site file is read when a tracker is made. What is called when an epoch ends has long
left the processor's caches, and bringing it back costs more than running it: so little is called,
all in one place, and what the steps mean is for the agent to reckon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from time import perf_counter, time
from types import TracebackType
from typing import Any, Self

from carbonsched.epochs.link import link_to_agent
from carbonsched.epochs.numbers import whole
from carbonsched.model.epoch_mark import (
    BEGAN_S,
    BEGAN_WALL_S,
    END,
    EPOCH,
    EPOCHS,
    EVENT,
    HEAD,
    KEPT_S,
    LAST_STEP_S,
    MARK_BYTES,
    MOST_KEPT,
    NEXT,
    SQUARES_S2,
    START,
    STEPS,
    STRIDE,
)


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
        self._link = link_to_agent()
        self._forget()

    def _forget(self) -> None:
        """No epoch runs, and no agent is known."""
        self._running = False
        self._heard = False
        self._tell: Callable[[bytearray], int] | None = None
        self._mark = bytearray(MARK_BYTES)
        self._mark[: len(HEAD)] = HEAD
        self._cells = memoryview(self._mark).cast("d")
        self._steps = 0
        self._last_s = self._squares_s2 = 0.0
        self._next_kept = self._stride = 1
        self._next_cell = KEPT_S

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
        ours = ("_tell", "_mark", "_cells")
        state = {name: value for name, value in self.__dict__.items() if name not in ours}
        return state | {"_link": self._link and self._link.anew()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

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
        with suppress(Exception):  # a number beyond all bounds
            self._cells[EPOCHS] = self._epochs or 0

    def epoch_start(self, epoch: int | None = None) -> None:
        """An epoch starts; one that was still running has ended.

        ``epoch`` is its number counted from 0; without it, it is the next one.
        """
        if self._running:
            self.epoch_end()
        if epoch is not None:
            number = whole(epoch, least=0)
            self._next = self._next if number is None else number
        self._running = True
        if self._link is None:
            return
        try:
            tell = self._tell or self._find()
            if tell is None:
                return
            cells = self._cells
            cells[EVENT] = START
            cells[EPOCH] = self._next + 1
            cells[EPOCHS] = self._epochs or 0
            tell(self._mark)
        except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
            if not self._tell_another(error):
                return
        self._begin()

    def step(self) -> None:
        """A step of the epoch, such as a batch, is done."""
        if self._heard:
            now_s = perf_counter()
            length_s = now_s - self._last_s
            self._last_s = now_s
            self._squares_s2 += length_s * length_s
            steps = self._steps = self._steps + 1
            if steps == self._next_kept:
                self._keep(now_s)

    def epoch_end(self) -> None:
        """The epoch has ended."""
        self._end(END)

    def stop(self) -> None:
        """The training is over; an epoch that has not ended is not counted."""
        self._running = self._heard = False
        self._tell = None
        if self._link is not None:
            self._link.close()

    def _loop(self, end: int | None) -> Iterator[int]:
        try:
            while end is None or self._next < end:
                if not self._running:
                    self.epoch_start()
                number = self._next
                yield number
                goes_on = end is None or number + 1 < end
                if self._end(NEXT if goes_on else END) and goes_on:
                    self._running = True
                    self._cells[EPOCH] = self._next + 1
                    self._begin()
                elif self._next == number:  # stopped within
                    self._next += 1
        finally:
            self.stop()

    def _end(self, event: int) -> bool:
        """Whether the agent knows."""
        heard, self._heard = self._heard, False
        tell = self._tell
        if heard and tell is not None:  # the end of an epoch whose start nobody heard says nothing
            try:
                cells = self._cells
                cells[EVENT] = event
                steps = self._steps
                if steps:
                    cells[STEPS] = steps
                    cells[LAST_STEP_S] = self._last_s
                    cells[SQUARES_S2] = self._squares_s2
                tell(self._mark)
            except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
                heard = self._tell_another(error)
        if self._running:
            self._running = False
            self._next += 1
        return heard

    def _tell_another(self, error: Exception) -> bool:
        """The mark was not taken; if that agent has gone, whether another has it."""
        with suppress(Exception):
            tell = self._find() if isinstance(error, ConnectionError) else None
            if tell is not None:
                tell(self._mark)
                return True
        return False

    def _find(self) -> Callable[[bytearray], int] | None:
        """What sends to an agent, if there is one."""
        self._tell = None
        if self._link is not None:
            self._tell = self._link.open()
        return self._tell

    def _begin(self) -> None:
        """The epoch runs from now on, and the agent knows."""
        cells = self._cells
        cells[BEGAN_WALL_S] = time()
        cells[BEGAN_S] = self._last_s = perf_counter()
        cells[STRIDE] = self._stride = self._next_kept = 1
        self._next_cell = KEPT_S
        cells[STEPS] = self._steps = 0
        self._squares_s2 = 0.0
        self._heard = True

    def _keep(self, now_s: float) -> None:
        """When the step that ended now did so; see ``MOST_KEPT``."""
        cells = self._cells
        cells[self._next_cell] = now_s
        self._next_cell += 1
        if self._next_cell == KEPT_S + MOST_KEPT:
            self._next_cell = KEPT_S + MOST_KEPT // 2
            cells[KEPT_S : self._next_cell] = cells[KEPT_S + 1 :: 2]
            self._stride *= 2
            cells[STRIDE] = self._stride
        self._next_kept += self._stride
