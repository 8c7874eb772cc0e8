"""A service's wish to be left alone, kept for all who would ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carbonsched.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from carbonsched.ports import Clock


class RateLimitedError(ProviderUnavailableError):
    """The service is to be left alone for ``wait_s`` seconds."""

    def __init__(self, message: str, wait_s: int) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class PacedError(ProviderUnavailableError):
    """The service is well, but its turn has not come: we keep its limit ourselves."""


class Silence:
    """Until when one service is not asked; one object for all zones that use the service."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked_at = 0
        self._until_at = 0

    def now(self) -> int:
        """Its clock's time, by which answers grow old too."""
        return self._clock.now()

    def keep(self, wait_s: int) -> None:
        """Leave the service alone for so many seconds from now; a longer wish stays."""
        now = self._clock.now()
        if self.left_s() < wait_s:
            self._asked_at, self._until_at = now, now + wait_s

    def left_s(self) -> int:
        """Seconds that are left of it, 0 where there is none."""
        now = self._clock.now()
        # A clock set back leaves the span, and must not make the silence endless.
        return self._until_at - now if self._asked_at <= now < self._until_at else 0

    def check(self, name: str) -> None:
        """Nothing, where the service may be asked.

        Raises:
            RateLimitedError: it may not, for ``wait_s`` more seconds; ``name`` begins the message.
        """
        if left_s := self.left_s():
            raise RateLimitedError(f"{name}: asked to be left alone for {left_s} s more", left_s)
