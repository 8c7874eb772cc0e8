"""Early stopping: after how many epochs a training may end, by the user's earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

_ROUND = 5
_TO_THE_END = 0.5  # of an earlier run's weight: that this one runs to its end


def undeclared(earlier: Sequence[int], total: int) -> list[int]:
    """The lengths of earlier logs that tell of stops, where none says how many were declared.

    Those shorter than ``total`` count as stopped early, unless they are all of one round length,
    which is then taken to be what was declared.
    """
    short = [length for length in earlier if length < total]
    declared = len(set(short)) == 1 and short[0] % _ROUND == 0
    return [] if declared else list(earlier)


def lengths(earlier: Sequence[int], seen: int, total: int) -> list[tuple[int, float]]:
    """Numbers of epochs with their weights, which add up to 1.

    ``earlier`` are those after which earlier trainings that were to be as long as this one ended.
    Of these count who went on for longer than ``seen``.
    """
    earlier = [length for length in earlier if length > seen]
    short = [length for length in earlier if length < total]
    if not short or seen >= total:
        return [(max(seen, total), 1.0)]
    whole = len(earlier) - len(short) + _TO_THE_END
    weight = 1 / (len(short) + whole)
    return [(total, whole * weight), *((length, weight) for length in sorted(short))]
