"""A bound on how often slurmctld is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Lets ``per_s`` calls a second through, a second's worth of them at once.

    A caller beyond that waits its turn. ``clock`` and ``sleep`` are time's own but for tests.
    """

    def __init__(
        self,
        per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if per_s <= 0:
            raise ValueError("the bound on calls to slurmctld must be positive")
        self._per_s = per_s
        self._most = max(1.0, per_s)
        self._tokens = self._most
        self._clock = clock
        self._sleep = sleep
        self._seen = clock()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take one token, waiting until there is one; callers are served one after another."""
        with self._lock:
            self._refill()
            if self._tokens < 1:
                self._sleep((1 - self._tokens) / self._per_s)
                self._refill()
            self._tokens -= 1

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._seen) * self._per_s)
        self._seen = now
