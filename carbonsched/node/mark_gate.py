"""Which marks are worth a sample: not those that say again what one has said, nor too many."""

from __future__ import annotations

from carbonsched.node.marks import SentMark
from carbonsched.units import NS_PER_S

MARKS_A_SECOND = 20
"""Marks beyond this rate are ignored: each one costs a sample, and a job may not tax the node."""
SAME_NS = 10 * NS_PER_S
"""So long a mark is known again. Ranks that are further apart cost samples, and nothing else."""
_REMEMBERED = 1024


class MarkGate:
    """Lets marks through. Times are of the steady clock."""

    def __init__(self, now_ns: int) -> None:
        self._left = float(MARKS_A_SECOND)
        self._refilled_ns = now_ns
        self._taken: dict[tuple[int, int, bool, int], int] = {}

    def is_known(self, sent: SentMark, now_ns: int) -> bool:
        """Whether another process of the job was first with it, as in a job of many ranks."""
        taken_ns = self._taken.get(_key(sent))
        return taken_ns is not None and now_ns - taken_ns < SAME_NS

    def admits(self, now_ns: int) -> bool:
        """Whether one more is not too many; it counts as one."""
        refill = (now_ns - self._refilled_ns) / NS_PER_S * MARKS_A_SECOND
        self._left = min(float(MARKS_A_SECOND), self._left + refill)
        self._refilled_ns = now_ns
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def remember(self, sent: SentMark, now_ns: int) -> None:
        """It has been taken."""
        if len(self._taken) >= _REMEMBERED:
            self._taken.clear()
        self._taken[_key(sent)] = now_ns


def _key(sent: SentMark) -> tuple[int, int, bool, int]:
    return sent.job_id, sent.uid, sent.mark.start, sent.mark.epoch
