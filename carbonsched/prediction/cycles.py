"""Which epochs of a training may be heavier than the others: those that validate or save."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_COMMON = {2: 3.0, 3: 2.0, 4: 2.0, 5: 4.0, 10: 4.0, 20: 1.0}  # how usual a cycle is, others 0.5
_LONGEST_CYCLE = 25
_DECLARED_FROM_ONE = 0.1
_FROM_ONE = 0.25  # of cycles count from the first epoch, the others from the M-th
_PLACES = 12  # where the one heavier epoch may be
_NEWEST = 6  # epochs that may be the one


@dataclass(frozen=True, slots=True)
class Cycle:
    """Every ``every``-th epoch, the first of them being ``first``; ``every`` 0: that alone."""

    every: int
    first: int

    def has(self, epoch: int) -> bool:
        """Whether the epoch is one of the heavier."""
        if self.every == 0:
            return epoch == self.first
        return epoch >= self.first and (epoch - self.first) % self.every == 0

    def among(self, after: int, last: int) -> int:
        """How many are among the epochs from ``after + 1`` to ``last``."""
        if self.every == 0 or last < self.first:
            return 0
        before = max(0, (after - self.first) // self.every + 1) if after >= self.first else 0
        return (last - self.first) // self.every + 1 - before


def cycles(
    numbers: Sequence[int], declared: int | None, cyclic: float, once: float
) -> Iterator[tuple[Cycle | None, float]]:
    """What may be of the epochs seen, with prior weights; ``None`` is no cycle.

    ``declared`` is the period if it is known, 1 for none; ``cyclic`` the chance of any heavier
    epochs otherwise, ``once`` that of one alone among those.
    """
    every, last = declared, numbers[-1]
    if every is not None and every > 1:
        yield Cycle(every, every), 1 - _DECLARED_FROM_ONE
        yield Cycle(every, 1), _DECLARED_FROM_ONE
        return
    yield None, 1 - cyclic
    if every is not None or len(numbers) == 1:
        return
    longest = min(_LONGEST_CYCLE, last)
    total = sum(_COMMON.get(one, 0.5) for one in range(2, _LONGEST_CYCLE + 1))
    for period in range(2, longest + 1):
        prior = (1 - once) * cyclic * _COMMON.get(period, 0.5) / total
        yield Cycle(period, period), prior * (1 - _FROM_ONE)
        yield Cycle(period, 1), prior * _FROM_ONE
    for number in numbers[-_NEWEST:]:
        if number > 1:
            yield Cycle(0, number), once * cyclic / _PLACES
