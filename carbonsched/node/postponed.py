"""Which readings the daemon would not take yet, and when they are sent again."""

from __future__ import annotations

import time

FIRST_S = 60.0
LONGEST_S = 3600.0


class Postponed:
    """Names in the outbox that are left out of deliveries for a while, so that others go on.

    All of them are sent again at the same time: after a minute, then after twice as long each time
    up to an hour. Nothing of this outlives the agent: its successor sends everything at once.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._reasons: set[str] = set()
        self._wait_s = FIRST_S
        self._until = 0.0

    def __len__(self) -> int:
        return len(self._names)

    def begin_round(self) -> frozenset[str]:
        """What this delivery leaves out; nothing once it is time to send all again."""
        if time.monotonic() >= self._until:
            self._names.clear()
        return frozenset(self._names)

    def add(self, name: str, reason: str) -> bool:
        """The daemon will not take it yet; ``True`` if that reason is new."""
        if not self._names:
            self._until = time.monotonic() + self._wait_s
            self._wait_s = min(2 * self._wait_s, LONGEST_S)
        self._names.add(name)
        new = reason not in self._reasons
        self._reasons.add(reason)
        return new

    def end_round(self) -> bool:
        """The daemon has been asked for all; ``True`` if that has ended what was postponed."""
        if self._names or not self._reasons:
            return False
        self._reasons.clear()
        self._wait_s = FIRST_S
        return True
