"""Places where a meter may be: found at the start, or when its driver has been loaded later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, runtime_checkable

from carbonsched.errors import MeterError
from carbonsched.node.meters.limited import Answer, Worker
from carbonsched.node.meters.meter import Meter
from carbonsched.units import NS_PER_S

SEEK_NS = 60 * NS_PER_S
PATIENCE_S = 10.0
"""A GPU driver may take seconds to initialise; a wedged one must not keep the agent waiting."""

M = TypeVar("M", bound=Meter)


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> None: ...


class Source(Generic[M]):
    """One meter, or ``None`` while it is not there; then it is looked for about once a minute.

    With a worker the search is made in the worker's thread. ``refused`` is whether the search at
    the start failed.
    """

    def __init__(
        self, key: str, find: Callable[[], M | None], worker: Worker | None = None
    ) -> None:
        self.key = key
        self.meter: M | None = None
        self.refused = False
        self._find = find
        self._worker = worker
        self._search: Answer[M | None] | None = None
        self._due_ns: int | None = None

    def start(self) -> None:
        """Look for it now, and wait for the answer.

        Raises:
            MeterError: it is there and may not be read.
        """
        try:
            self._seek()
            if self._search is not None:
                self._search.wait(PATIENCE_S)
                self._take()
        except MeterError:
            self.refused = True
            raise

    def look(self, steady_ns: int) -> M | None:
        """The meter; looks for it if it is time to, without waiting for a worker.

        Raises:
            MeterError: as ``start``.
        """
        if self.meter is None and self._search is not None:
            self._take()
        elif self.meter is None:
            if self._due_ns is None:
                self._due_ns = steady_ns + SEEK_NS
            elif steady_ns >= self._due_ns:
                self._due_ns = steady_ns + SEEK_NS
                self._seek()
        return self.meter

    def forget(self) -> None:
        """It is gone for good; look for it again in a while."""
        self._close_meter()
        self.meter, self._due_ns = None, None

    def close(self) -> None:
        """Let go of what it holds."""
        self._close_meter()
        if self._worker is not None:
            self._worker.close()

    def _seek(self) -> None:
        if self._worker is None:
            self.meter = self._find()
        else:
            self._search = self._worker.ask(self._find)

    def _take(self) -> None:
        if self._search is not None and self._search.wait(0):
            search, self._search = self._search, None
            self.meter = search.take()

    def _close_meter(self) -> None:
        meter: object = self.meter
        if isinstance(meter, _Closable):
            meter.close()
