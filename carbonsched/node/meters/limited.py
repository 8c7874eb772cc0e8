"""A meter that may hang is asked in a thread of its own, and waited for no longer than a second.

A call into a driver of a wedged device may never return. The agent goes on without that meter, and
asks it again once the call has come back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar, runtime_checkable

from carbonsched.errors import MeterError
from carbonsched.node.meters.meter import DomainEnergy, Gpu, HasGpus, Meter, Reading

LIMIT_S = 1.0

T = TypeVar("T")


class GpuMeter(Meter, HasGpus, Protocol):
    """A meter of GPUs."""


class BoardMeter(Meter, Protocol):
    """A meter of a whole board, or of its processors."""

    @property
    def has_cpu(self) -> bool:
        """Whether it tells processors."""
        ...

    @property
    def has_node(self) -> bool:
        """Whether it tells the whole node."""
        ...


@runtime_checkable
class _Looks(Protocol):
    def look(self) -> None: ...


@runtime_checkable
class _Counts(Protocol):
    errors: int


class Answer(Generic[T]):
    """What a call in another thread returned or raised, once it has."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._running = threading.Lock()  # an Event, made each second, costs several times as much
        self._running.acquire()
        self._done = False
        self._value: list[T] = []
        self._error: Exception | None = None

    def run(self) -> None:
        """Make the call, in the thread that does."""
        try:
            self._value.append(self._call())
        except Exception as error:  # noqa: BLE001 - raised again where the answer is taken
            self._error = error
        self._done = True
        self._running.release()

    def wait(self, limit_s: float) -> bool:
        """Whether it is there, at the latest after ``limit_s`` seconds."""
        return self._done or self._running.acquire(timeout=limit_s)

    def take(self) -> T:
        """The value, or what was raised; only once it is there."""
        if self._error is not None:
            raise self._error
        return self._value[0]


class Worker:
    """One thread that makes one call after the other; it never keeps the process from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, call: Callable[[], T]) -> Answer[T]:
        """Have a call made."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        answer = Answer(call)
        self._calls.put(answer.run)
        return answer

    def close(self) -> None:
        """End the thread after the call that it is in."""
        self._calls.put(None)

    def _run(self) -> None:
        while (run := self._calls.get()) is not None:
            run()


class Limited:
    """Another meter, read within a time limit."""

    def __init__(self, meter: Meter, worker: Worker, limit_s: float = LIMIT_S) -> None:
        self._meter = meter
        self._worker = worker
        self._limit_s = limit_s
        self._pending: Answer[Reading] | None = None
        self._late = False
        self.key = meter.key

    @property
    def name(self) -> str:
        """The meter's."""
        return self._meter.name

    @property
    def longest_gap_ns(self) -> int:
        """The meter's."""
        return self._meter.longest_gap_ns

    def ask(self, steady_ns: int) -> Answer[Reading]:
        """Have it read now, if it is not being read already; ``read`` takes the answer."""
        if self._pending is None:
            self._pending = self._worker.ask(lambda: self._meter.read(steady_ns))
        return self._pending

    def read(self, steady_ns: int) -> Reading:
        """The meter's reading.

        Raises:
            MeterError: as the meter, or it does not answer in time.
        """
        answer, late = self.ask(steady_ns), self._late
        # An earlier call that hangs has been waited for already.
        self._late = not answer.wait(0.0 if late else self._limit_s)
        if self._late:
            raise MeterError(f"the {self.key} meter does not answer within {self._limit_s:g} s")
        self._pending = None
        return self.read(steady_ns) if late else answer.take()  # a late one is of then, not of now

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """The meter's energies; it calls nothing that could hang."""
        return self._meter.between(before, after, length_ns, busy_ns)


class LimitedBoard(Limited):
    """A board's meter, read within a time limit."""

    def __init__(self, meter: BoardMeter, worker: Worker, limit_s: float = LIMIT_S) -> None:
        super().__init__(meter, worker, limit_s)
        self.has_cpu = meter.has_cpu
        self.has_node = meter.has_node


class LimitedGpus(Limited):
    """A meter of GPUs, read within a time limit."""

    def __init__(self, meter: GpuMeter, worker: Worker, limit_s: float = LIMIT_S) -> None:
        super().__init__(meter, worker, limit_s)
        self._gpus = meter
        self._counter = meter if isinstance(meter, _Counts) else None

    def gpus(self) -> tuple[Gpu, ...]:
        """The meter's, as last seen."""
        return self._gpus.gpus()

    def look(self) -> None:
        """Have the meter look for its devices at once, if it can; never raises."""
        if isinstance(self._gpus, _Looks) and self._pending is None:
            self._worker.ask(self._gpus.look).wait(self._limit_s)

    @property
    def errors(self) -> int:
        """Calls that failed though the reading as a whole did not, where the meter counts them."""
        return 0 if self._counter is None else self._counter.errors
