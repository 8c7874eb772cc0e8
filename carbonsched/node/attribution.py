"""Who used a node's energy: pure arithmetic on whole microjoules and nanoseconds.

The static part of an interval's energy, what the node draws with idle CPUs, is divided by
allocated CPUs times time present; what nobody had allocated is ``idle``. The dynamic part is
divided by CPU time used. Largest remainder (Hamilton's method) makes every sum exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from carbonsched.model.energy import PartKind
from carbonsched.units import apportion

NOBODY = -1


class Owner(NamedTuple):
    """Whom energy belongs to; ``NOBODY`` where it is no job."""

    kind: PartKind
    job_id: int = NOBODY
    restarts: int = NOBODY


IDLE = Owner(PartKind.IDLE)
SYSTEM = Owner(PartKind.SYSTEM)


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of one interval; ``static_uj`` is the part that idle CPUs would have drawn too."""

    total_uj: int
    static_uj: int

    def __post_init__(self) -> None:
        if not 0 <= self.static_uj <= self.total_uj:
            raise ValueError("the static part of an interval's energy is not within its total")


@dataclass(frozen=True, slots=True)
class Use:
    """What one job had and used of a node: ``cpus`` is 0 where the allocation is not known."""

    owner: Owner
    cpus: int
    present_ns: int
    cpu_ns: int


def divide(
    energy: Energy, length_ns: int, node_cpus: int, uses: Iterable[Use], system_cpu_ns: int = 0
) -> dict[Owner, int]:
    """Microjoules of each owner in an interval of ``length_ns``; they add up to the total.

    Each job of ``uses`` is in the answer, with 0 if it has nothing. Allocations beyond the node's
    CPUs are scaled down to them. Dynamic energy while no CPU time was seen is the system's.
    """
    uses = tuple(uses)
    shares = {use.owner: 0 for use in uses}
    if energy.static_uj:
        allocated = {use.owner: use.cpus * min(use.present_ns, length_ns) for use in uses}
        free = node_cpus * length_ns - sum(allocated.values())
        if free > 0:
            allocated[IDLE] = free
        _add(shares, apportion(energy.static_uj, allocated))
    dynamic_uj = energy.total_uj - energy.static_uj
    if dynamic_uj:
        busy = {use.owner: use.cpu_ns for use in uses if use.cpu_ns}
        if system_cpu_ns or not busy:
            busy[SYSTEM] = max(system_cpu_ns, 1)
        _add(shares, apportion(dynamic_uj, busy))
    return shares


def _add(shares: dict[Owner, int], more: Mapping[Owner, int]) -> None:
    for owner, share in more.items():
        shares[owner] = shares.get(owner, 0) + share
