"""Who used a node's energy: pure arithmetic on whole microjoules and nanoseconds.

The static part of a device's energy, what it draws idle, is divided by allocation times time
present; what nobody had allocated is ``idle``. The dynamic part is divided by use. Largest
remainder (Hamilton's method) makes every sum exact. The rules by domain are those of
docs/explanation/metering.md:

- CPUs, or a node that is not seen in parts: static by allocated CPUs, dynamic by CPU time.
- Memory: static by allocated memory, by CPUs where that is not known; dynamic by CPU time.
- A GPU: static and dynamic by the share of it that was allocated.
- The rest of the node: static by the mean of the shares of its CPUs and of its GPUs, dynamic in
  proportion to everybody's dynamic energy in the other domains.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import lcm
from typing import NamedTuple

from carbonsched.model.energy import Domain, Quality, worse
from carbonsched.node.meters.meter import DomainEnergy
from carbonsched.node.presence.stays import IDLE, SYSTEM, Owner, Use
from carbonsched.units import apportion

_WHOLE = 10**12
"""Into so many parts a resource is cut where shares of unlike resources are added."""


Weights = dict[Owner, int]


@dataclass(frozen=True, slots=True)
class NodeSize:
    """What there is to allocate; ``memory_mb`` is 0 where it is not known, ``gpus`` are devices."""

    cpus: int
    memory_mb: int = 0
    gpus: tuple[str, ...] = ()


class Share(NamedTuple):
    """One owner's energy in one domain; ``uncertainty_uj`` is one standard deviation of it."""

    energy_uj: int
    uncertainty_uj: int
    quality: Quality


Cells = dict[Owner, dict[Domain, Share]]


def divide(
    energies: Iterable[DomainEnergy],
    length_ns: int,
    node: NodeSize,
    uses: Iterable[Use],
    system_cpu_ns: int = 0,
) -> Cells:
    """Shares of each owner by domain in an interval of ``length_ns``.

    Those of a device add up to its energy and its uncertainty. Each job of ``uses`` is in the
    answer. Of allocations beyond what the node has, those of fading jobs shrink to what the others
    leave, and what is still beyond is scaled down. A static part that is not known counts as none.
    ``system_cpu_ns`` is CPU time of processes that belong to no job; dynamic energy of CPUs while
    no CPU time was seen is the system's.
    """
    return Allocation(length_ns, node, tuple(uses)).divide(tuple(energies), system_cpu_ns)


@dataclass(frozen=True, slots=True)
class _Held:
    """Who had how much of one resource; ``with_idle`` is the same with what nobody held as idle's.

    Of more than there is, all are scaled down, as they divide what there is.
    """

    weights: Weights
    with_idle: Weights


def _held(whole: int, amounts: Iterable[tuple[Use, int]]) -> _Held:
    """Weights in proportion; fading jobs have no more than the others leave of the ``whole``."""
    sure: Weights = {}
    fading: Weights = {}
    for use, amount in amounts:
        _add(fading if use.fading else sure, use.owner, amount)
    if fading:
        left = max(0, whole - sum(sure.values()))
        wanted = sum(fading.values())
        if wanted > left and whole:  # in units in which both are whole numbers
            sure = {owner: amount * wanted for owner, amount in sure.items()}
            fading = {owner: amount * left for owner, amount in fading.items()}
            whole *= wanted
        for owner, amount in fading.items():
            _add(sure, owner, amount)
    free = whole - sum(sure.values())
    return _Held(sure, sure | {IDLE: free} if free > 0 else sure)


class Allocation:
    """Who had what of a node in an interval."""

    def __init__(self, length_ns: int, node: NodeSize, uses: Sequence[Use]) -> None:
        self._length_ns = length_ns
        self._node = node
        self._uses = uses
        self._stopped = {use.owner for use in uses if use.suspended}
        self._of_devices: dict[str, _Held] = {}

    def divide(self, energies: Sequence[DomainEnergy], system_cpu_ns: int) -> Cells:
        """As the function of this name says."""
        cells: Cells = {use.owner: {} for use in self._uses}
        everybody = tuple(cells)
        busy = self._busy(system_cpu_ns)
        seen: Weights = {}
        rests = []
        for one in energies:
            if one.domain is Domain.REST:
                rests.append(one)
            elif one.domain is Domain.GPU:
                held = self._held(one.device)
                _spread(cells, seen, one, held.with_idle, self._working(held), held.weights)
            else:
                static = self._memory if one.domain is Domain.MEMORY else self._cpus
                _spread(cells, seen, one, static, busy, everybody)
        for one in rests:
            # What CPUs and GPUs draw, supplies lose and fans carry away.
            _spread(
                cells, {}, one, self._whole_node, seen if any(seen.values()) else busy, everybody
            )
        return cells

    def node_times(self) -> Weights:
        """The interval's nanoseconds by the share of the whole node that each owner had."""
        return apportion(self._length_ns, self._whole_node)

    def _present_ns(self, use: Use) -> int:
        return min(use.present_ns, self._length_ns)

    def _busy(self, system_cpu_ns: int) -> Weights:
        """CPU time by owner; the system's where none was seen."""
        busy: Weights = {}
        for use in self._uses:
            if use.cpu_ns and not use.suspended:
                _add(busy, use.owner, use.cpu_ns)
        if system_cpu_ns or not busy:
            busy[SYSTEM] = max(system_cpu_ns, 1)
        return busy

    @cached_property
    def _cpus(self) -> Weights:
        whole = self._node.cpus * self._length_ns
        there = (use for use in self._uses if not use.suspended)
        return _held(whole, ((use, use.cpus * self._present_ns(use)) for use in there)).with_idle

    @cached_property
    def _memory(self) -> Weights:
        """In CPU-megabytes, in which allocations of CPUs and of memory can both be told."""
        cpus, memory_mb = self._node.cpus, self._node.memory_mb or 1
        amounts = []
        for use in self._uses:
            known = use.memory_mb is not None and self._node.memory_mb
            amount = (use.memory_mb or 0) * cpus if known else use.cpus * memory_mb
            amounts.append((use, amount * self._present_ns(use)))
        return _held(cpus * memory_mb * self._length_ns, amounts).with_idle

    def _held(self, device: str) -> _Held:
        """Who had how much of a GPU."""
        if device not in self._of_devices:
            self._of_devices[device] = self._counted(device)
        return self._of_devices[device]

    def _counted(self, device: str) -> _Held:
        fractions = [(use, use.gpus[device]) for use in self._uses if device in use.gpus]
        unit = lcm(*(denominator for _, (_, denominator) in fractions))
        amounts = (
            (use, numerator * (unit // denominator) * self._present_ns(use))
            for use, (numerator, denominator) in fractions
        )
        return _held(unit * self._length_ns, amounts)

    def _working(self, held: _Held) -> Weights:
        """Those who had a GPU and could use it; nobody's work is idle's."""
        working = held.weights
        if self._stopped:
            working = {one: weight for one, weight in working.items() if one not in self._stopped}
        return working if any(working.values()) else {IDLE: 1}

    @cached_property
    def _whole_node(self) -> Weights:
        """The mean of the CPUs' share and, where the node has GPUs, of the mean of theirs."""
        shares = _in_parts(self._cpus)
        gpus = self._node.gpus
        if gpus:
            shares = {owner: share * len(gpus) for owner, share in shares.items()}
        for device in gpus:
            for owner, share in _in_parts(self._held(device).with_idle).items():
                _add(shares, owner, share)
        return shares


def _spread(
    cells: Cells,
    dynamic_seen: Weights,
    energy: DomainEnergy,
    static: Weights,
    dynamic: Weights,
    members: Collection[Owner],
) -> None:
    """Put one device's energy into the cells; ``members`` get one even if it is empty.

    Of a device of which nothing is known everybody who had a part, idle too, knows nothing.
    """
    shares = dict.fromkeys(members if energy.energy_uj else (*members, *static), 0)
    static_uj = energy.static_uj or 0
    if static_uj:
        for owner, share_uj in apportion(static_uj, static).items():
            _add(shares, owner, share_uj)
    if energy.energy_uj > static_uj:
        for owner, share_uj in apportion(energy.energy_uj - static_uj, dynamic).items():
            _add(shares, owner, share_uj)
            _add(dynamic_seen, owner, share_uj)
    doubts: Weights = {}
    if energy.uncertainty_uj:
        doubts = apportion(energy.uncertainty_uj, shares if any(shares.values()) else {IDLE: 1})
        shares = dict.fromkeys(doubts, 0) | shares
    for owner, share_uj in shares.items():
        mine = cells.setdefault(owner, {})
        doubt_uj, quality = doubts.get(owner, 0), energy.quality
        if (before := mine.get(energy.domain)) is not None:
            share_uj += before.energy_uj  # noqa: PLW2901 - the sum of several devices
            doubt_uj += before.uncertainty_uj
            quality = worse(quality, before.quality)
        mine[energy.domain] = Share(share_uj, doubt_uj, quality)


def _in_parts(weights: Weights) -> Weights:
    whole = sum(weights.values())
    return {owner: weight * _WHOLE // whole for owner, weight in weights.items()}


def _add(weights: Weights, owner: Owner, more: int) -> None:
    weights[owner] = weights.get(owner, 0) + more
