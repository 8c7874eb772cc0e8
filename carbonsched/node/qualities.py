"""Which of two qualities a sum of both has: the worse one."""

from __future__ import annotations

from collections.abc import Iterable

from carbonsched.model.energy import Quality

_RANK = {quality: rank for rank, quality in enumerate(Quality)}


def worse(one: Quality, other: Quality) -> Quality:
    """The later of two in the order of ``Quality``, which is best first."""
    return one if _RANK[one] >= _RANK[other] else other


def worst(qualities: Iterable[Quality]) -> Quality:
    """The worst of some; ``measured`` of none."""
    return max(qualities, key=_RANK.__getitem__, default=Quality.MEASURED)
