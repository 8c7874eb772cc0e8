"""The daemon's recurring work: each tick is the retry of the one before."""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbonsched.errors import CarbonschedError, LedgerError, RequestError
from carbonsched.ports import Clock

LOCK_WAIT_S = 60.0
Writer = Callable[[], AbstractContextManager[None]]
"""Holds the lock of the one writer, for works that ask services first and write then."""
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a tick's last run went."""

    at: int
    took_s: float
    ok: bool
    text: str


class WriterLock:
    """One writer at a time: among this process's threads, and among processes by a lock file."""

    def __init__(self, path: Path, wait_s: float = LOCK_WAIT_S) -> None:
        self._path = path
        self._wait_s = wait_s
        self._threads = threading.RLock()
        self._depth = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; may be nested.

        Raises:
            LedgerError: another process holds it and does not let go within ``wait_s``.
        """
        with self._threads:
            if self._depth:
                yield
                return
            with self._path.open("a") as file:
                self._wait(file.fileno())
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1

    def _wait(self, descriptor: int) -> None:
        deadline = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LedgerError(
                        f"{self._path} is held by another carbonsched process"
                    ) from None
                time.sleep(0.05)
            else:
                return


class Ticks:
    """The ticks by name, each a function that does its work once and says what it did.

    Those that ``fetch`` wait for services that nobody here controls, so they take the writer's lock
    themselves, and only to write; all others hold it while they run.
    """

    def __init__(
        self,
        works: Mapping[str, Callable[[], str]],
        lock: WriterLock,
        clock: Clock,
        fetch: Collection[str] = (),
    ) -> None:
        self._works = works
        self._lock = lock
        self._clock = clock
        self.fetch = frozenset(fetch)
        self._outcomes: dict[str, Outcome] = {}

    def run_now(self, name: str) -> str:
        """Run a tick and let its errors through, for people who run one by hand.

        Raises:
            RequestError: the site's configuration has no use for this tick.
        """
        if name not in self._works:
            known = ", ".join(self._works)
            raise RequestError(f"tick {name!r} has nothing to do on this site; it has: {known}")
        with nullcontext() if name in self.fetch else self._lock.held():
            return self._works[name]()

    def run(self, name: str) -> None:
        """Run a tick as the daemon does: whatever goes wrong is logged, and tried again next time.

        A fault of ours is logged with its trace, and must not end the other ticks.
        """
        began = time.monotonic()
        try:
            text, ok = self.run_now(name), True
            _LOGGER.debug("tick %s: %s", name, text)
        except CarbonschedError as error:
            text, ok = str(error), False
            _LOGGER.warning("tick %s: %s", name, error)
        except Exception as error:
            text, ok = f"a fault in carbonsched: {error!r}", False
            _LOGGER.exception("tick %s: a fault in carbonsched", name)
        took_s = time.monotonic() - began
        self._outcomes[name] = Outcome(at=self._clock.now(), took_s=took_s, ok=ok, text=text)

    def health(self) -> dict[str, Any]:
        """Each tick's last outcome, and whether all are well."""
        ticks = {
            name: {
                "at": one.at,
                "took_s": round(one.took_s, 3),
                "ok": one.ok,
                # what failed may name paths and services: health is public, the log is not
                "text": one.text if one.ok else "failed; see the daemon's log",
            }
            for name, one in self._outcomes.items()
        }
        well = all(one.ok for one in self._outcomes.values())
        return {"status": "ok" if well else "degraded", "ticks": ticks}
