"""Cutting what happened between two samples at the lines of the segments' grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from carbonsched.model.energy import Domain
from carbonsched.node.meters.meter import DomainEnergy
from carbonsched.node.presence.stays import Stay, Use
from carbonsched.units import apportion

Bounds = tuple[int, int]
Weights = dict[int, int]
"""By the place of a piece."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One stretch of time between grid lines with its share of everything."""

    begin_ns: int
    length_ns: int
    energies: tuple[DomainEnergy, ...]
    uses: tuple[Use, ...]
    system_cpu_ns: int


def cut(
    begin_ns: int,
    end_ns: int,
    grid_ns: int,
    energies: Sequence[DomainEnergy],
    stays: Sequence[Stay],
    system_cpu_ns: int,
) -> list[Piece]:
    """Pieces of ``[begin_ns, end_ns)`` between multiples of ``grid_ns``; all sums are kept.

    Static energy, and all of a GPU's, is spread by time, CPU time by presence, and other dynamic
    energy by CPU time.
    """
    bounds = _bounds(begin_ns, end_ns, grid_ns)
    if len(bounds) == 1:
        uses = tuple(stay.use(_overlap(stay, bounds[0]), stay.cpu_ns) for stay in stays)
        return [Piece(begin_ns, end_ns - begin_ns, tuple(energies), uses, system_cpu_ns)]
    lengths = {place: end - begin for place, (begin, end) in enumerate(bounds)}
    system = apportion(system_cpu_ns, lengths)
    used = [_cut_stay(stay, bounds, lengths) for stay in stays]
    busy = dict(system)
    for pieces in used:
        for place, use in pieces.items():
            busy[place] += use.cpu_ns
    parts = [_cut_energy(one, lengths, busy) for one in energies]
    return [
        Piece(
            begin,
            lengths[place],
            tuple(part[place] for part in parts),
            tuple(pieces[place] for pieces in used if place in pieces),
            system[place],
        )
        for place, (begin, _) in enumerate(bounds)
    ]


def _cut_stay(stay: Stay, bounds: list[Bounds], lengths: Weights) -> dict[int, Use]:
    """Its uses by place, where there are any."""
    overlaps = {place: _overlap(stay, one) for place, one in enumerate(bounds)}
    cpu = apportion(stay.cpu_ns, overlaps if any(overlaps.values()) else lengths)
    return {
        place: stay.use(present_ns, cpu[place])
        for place, present_ns in overlaps.items()
        if present_ns or cpu[place]
    }


def _cut_energy(energy: DomainEnergy, lengths: Weights, busy: Weights) -> list[DomainEnergy]:
    static_uj = energy.static_uj or 0
    by_use = energy.domain is not Domain.GPU and any(busy.values())
    static = apportion(static_uj, lengths)
    dynamic = apportion(energy.energy_uj - static_uj, busy if by_use else lengths)
    whole = {place: static[place] + dynamic[place] for place in lengths}
    doubts = apportion(energy.uncertainty_uj, whole if any(whole.values()) else lengths)
    return [
        replace(
            energy,
            energy_uj=whole[place],
            static_uj=None if energy.static_uj is None else static[place],
            uncertainty_uj=doubts[place],
        )
        for place in lengths
    ]


def _overlap(stay: Stay, bounds: Bounds) -> int:
    return max(0, min(bounds[1], stay.end_ns) - max(bounds[0], stay.begin_ns))


def _bounds(begin_ns: int, end_ns: int, grid_ns: int) -> list[Bounds]:
    if end_ns <= begin_ns:
        raise ValueError("an interval ends after it begins")
    bounds = []
    while begin_ns < end_ns:
        line = min(end_ns, (begin_ns // grid_ns + 1) * grid_ns)
        bounds.append((begin_ns, line))
        begin_ns = line
    return bounds
