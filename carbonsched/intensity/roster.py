"""Which series a zone's mix has: only so is one missed that is told no more."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from carbonsched.intensity.factors import STORAGE, FactorSet
from carbonsched.intensity.mix import KNOWN_S, Slot, Usual, Whole, usual_of, whole

LEAST_S = 2 * 86_400
"""At least so much is asked: zeros are known for holes by what comes before and after them."""

FRESH_S = 2 * 86_400
"""So long after ``KNOWN_S`` of a zone were seen in one answer, shorter ones will do."""

_log = logging.getLogger(__name__)


class Roster:
    """The series of one zone, their usual output, and when each last had a value.

    An answer about two days names no fuel that has been silent for three. So the first answer is
    about ``KNOWN_S``, and what it names is remembered; means are taken anew with each such answer.
    Nothing is struck off: a series without a value for ``KNOWN_S`` is no longer missed.
    """

    def __init__(self, provider: str, place: str) -> None:
        self._provider = provider
        self._place = place
        self._usual: dict[str, Usual] = {}
        self._seen_at: int | None = None
        self._closed: frozenset[str] = frozenset()

    def since(self, start_at: int, until_at: int) -> int:
        """From when to ask, so that what is silent up to ``until_at`` is noticed."""
        fresh = self._seen_at is not None and 0 <= until_at - self._seen_at < FRESH_S
        return min(start_at, until_at - (LEAST_S if fresh else KNOWN_S))

    def whole(
        self,
        cut: Sequence[Slot],
        fuels: Mapping[str, str],
        factors: FactorSet,
        span: tuple[int, int],
    ) -> tuple[list[Whole], int]:
        """The whole mixes of an answer about the ``span`` that was asked, and how many are not."""
        long = span[1] - span[0] >= KNOWN_S
        usual = dict(self._usual)
        for name, seen in usual_of(cut, fuels, factors).items():
            before = usual.get(name)
            known_at = sorted({*seen.known_at, *(before.known_at if before else ())})
            mean = seen.output if long or before is None else before.output
            usual[name] = Usual(mean, tuple(known_at))
        self._warn(usual, fuels, span[1])
        self._usual = {name: Usual(one.output, one.known_at[-1:]) for name, one in usual.items()}
        if long:
            self._seen_at = span[1]
        return whole(cut, fuels, factors, usual)

    def _warn(self, usual: Mapping[str, Usual], fuels: Mapping[str, str], until_at: int) -> None:
        """Name what is left out of the mix for want of values, once."""
        never = {name for name, fuel in fuels.items() if name not in usual and fuel != STORAGE}
        silent = {name for name, one in usual.items() if one.known_at[-1] < until_at - KNOWN_S}
        closed = frozenset(never | silent)
        if closed - self._closed:
            _log.warning(
                "%s: no value of %s of %s for %d days: left out of the mix",
                self._provider, ", ".join(ascii(one)[1:-1][:40] for one in sorted(closed)),
                self._place, KNOWN_S // 86_400,
            )  # fmt: skip
        self._closed = closed
