"""Cutting what happened between two samples at the lines of the segments' grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carbonsched.node.attribution import Energy, Owner, Use
from carbonsched.units import apportion


@dataclass(frozen=True, slots=True)
class Stay:
    """A job's presence ``[begin_ns, end_ns)`` within an interval, and the CPU time it used."""

    owner: Owner
    cpus: int
    begin_ns: int
    end_ns: int
    cpu_ns: int


@dataclass(frozen=True, slots=True)
class Piece:
    """One stretch of time between grid lines with its share of everything."""

    begin_ns: int
    length_ns: int
    energy: Energy
    uses: tuple[Use, ...]
    system_cpu_ns: int


def cut(
    begin_ns: int,
    end_ns: int,
    grid_ns: int,
    energy: Energy,
    stays: Sequence[Stay],
    system_cpu_ns: int,
) -> list[Piece]:
    """Pieces of ``[begin_ns, end_ns)`` between multiples of ``grid_ns``; all sums are kept.

    Static energy is spread by time, CPU time by presence, and dynamic energy by CPU time.
    """
    bounds = _bounds(begin_ns, end_ns, grid_ns)
    lengths = {place: end - begin for place, (begin, end) in enumerate(bounds)}
    uses: list[list[Use]] = [[] for _ in bounds]
    busy = apportion(system_cpu_ns, lengths)
    system = dict(busy)
    for stay in stays:
        overlaps = {
            place: max(0, min(end, stay.end_ns) - max(begin, stay.begin_ns))
            for place, (begin, end) in enumerate(bounds)
        }
        cpu = apportion(stay.cpu_ns, overlaps if any(overlaps.values()) else lengths)
        for place, present_ns in overlaps.items():
            if present_ns or cpu[place] or len(bounds) == 1:
                uses[place].append(Use(stay.owner, stay.cpus, present_ns, cpu[place]))
                busy[place] += cpu[place]
    static = apportion(energy.static_uj, lengths)
    dynamic = apportion(energy.total_uj - energy.static_uj, busy if any(busy.values()) else lengths)
    return [
        Piece(
            begin,
            lengths[place],
            Energy(static[place] + dynamic[place], static[place]),
            tuple(uses[place]),
            system[place],
        )
        for place, (begin, _) in enumerate(bounds)
    ]


def _bounds(begin_ns: int, end_ns: int, grid_ns: int) -> list[tuple[int, int]]:
    if end_ns <= begin_ns:
        raise ValueError("an interval ends after it begins")
    bounds = []
    while begin_ns < end_ns:
        line = min(end_ns, (begin_ns // grid_ns + 1) * grid_ns)
        bounds.append((begin_ns, line))
        begin_ns = line
    return bounds
