"""Power usage effectiveness over time: the whole building's energy over that of the computers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise

from carbonsched.units import PPM

LOWEST_PPM = PPM
HIGHEST_PPM = 3 * PPM
"""No building uses less than its computers; one that used three times as much would be noticed."""


@dataclass(frozen=True, slots=True)
class PuePoint:
    """The PUE over ``[start_at, end_at)`` in whole parts per million, and whose word it is."""

    start_at: int
    end_at: int
    pue_ppm: int
    source: str = ""

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise ValueError("a period of PUE ends after it starts")
        if not LOWEST_PPM <= self.pue_ppm <= HIGHEST_PPM:
            raise ValueError(f"a PUE of {self.pue_ppm / PPM:g} is not between 1 and 3")


def latest_told(told: Iterable[tuple[int, PuePoint]]) -> tuple[PuePoint, ...]:
    """What counts of ``(fetched_at, point)`` pairs: in time order, without overlap.

    Wherever several tell of the same time, the one that was fetched last counts, of equals the
    later in order.
    """
    rows = sorted(enumerate(told), key=lambda row: row[1][1].start_at)
    cuts = sorted({at for _, (_, one) in rows for at in (one.start_at, one.end_at)})
    waiting: list[tuple[int, int, PuePoint]] = []
    pieces: list[PuePoint] = []
    taken = 0
    for start_at, end_at in pairwise(cuts):
        while taken < len(rows) and rows[taken][1][1].start_at <= start_at:
            order, (fetched_at, point) = rows[taken]
            heappush(waiting, (-fetched_at, -order, point))
            taken += 1
        while waiting and waiting[0][2].end_at <= start_at:
            heappop(waiting)
        if waiting:
            best = waiting[0][2]
            pieces.append(PuePoint(start_at, end_at, best.pue_ppm, best.source))
    return tuple(_joined(pieces))


def _joined(pieces: Iterable[PuePoint]) -> Iterator[PuePoint]:
    """Neighbours that say the same as one."""
    held: PuePoint | None = None
    for piece in pieces:
        if held is None:
            held = piece
        elif (held.end_at, held.pue_ppm, held.source) == (
            piece.start_at,
            piece.pue_ppm,
            piece.source,
        ):
            held = PuePoint(held.start_at, piece.end_at, piece.pue_ppm, piece.source)
        else:
            yield held
            held = piece
    if held is not None:
        yield held
