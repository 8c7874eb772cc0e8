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
        self._done = threading.Event()
        self._value: list[T] = []
        self._error: Exception | None = None

    def run(self) -> None:
        """Make the call, in the thread that does."""
        try:
            self._value.append(self._call())
        except Exception as error:  # noqa: BLE001 - raised again where the answer is taken
            self._error = error
        self._done.set()

    def wait(self, limit_s: float) -> bool:
        """Whether it is there, at the latest after ``limit_s`` seconds."""
        return self._done.wait(limit_s)

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
        self.key = meter.key

    @property
    def name(self) -> str:
        """The meter's."""
        return self._meter.name

    @property
    def longest_gap_ns(self) -> int:
        """The meter's."""
        return self._meter.longest_gap_ns

    def read(self, steady_ns: int) -> Reading:
        """The meter's reading.

        Raises:
            MeterError: as the meter, or it does not answer in time.
        """
        if self._pending is None:
            self._pending = self._worker.ask(lambda: self._meter.read(steady_ns))
            limit_s = self._limit_s
        else:
            limit_s = 0.0  # an earlier call hangs: it has been waited for
        late = limit_s == 0.0
        if not self._pending.wait(limit_s):
            raise MeterError(f"the {self.key} meter does not answer within {self._limit_s:g} s")
        answer, self._pending = self._pending, None
        if late:  # what came late is of then, not of now
            return self.read(steady_ns)
        return answer.take()

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
        return self._gpus.errors if isinstance(self._gpus, _Counts) else 0
