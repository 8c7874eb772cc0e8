"""Early stopping: after how many epochs a training may end, by the user's earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

_ROUND = 5
_TO_THE_END = 0.5  # of an earlier run's weight: that this one runs to its end


def lengths(earlier: Sequence[int], seen: int, total: int) -> list[tuple[int, float]]:
    """Numbers of epochs with their weights, which add up to 1.

    ``earlier`` are the lengths of earlier logs that went on for longer than ``seen``. A log does
    not say how many epochs were declared. Shorter ones count as stopped early unless they are all
    of one round length, which is then taken to be what was declared.
    """
    short = [length for length in earlier if length < total]
    declared = len(set(short)) == 1 and short[0] % _ROUND == 0
    if not short or declared or seen >= total:
        return [(max(seen, total), 1.0)]
    whole = len(earlier) - len(short) + _TO_THE_END
    weight = 1 / (len(short) + whole)
    return [(total, whole * weight), *((length, weight) for length in sorted(short))]
