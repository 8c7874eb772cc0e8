"""What readings weigh: their energy at the intensity and PUE of their time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from carbonsched.accounting import PricedSegment, price_segment
from carbonsched.intensity.resolve import Resolved
from carbonsched.ledger.readings import JobReading
from carbonsched.model.intensity import StepSeries
from carbonsched.ports import Clock
from carbonsched.services.grid import Grid
from carbonsched.services.managed import ManagedCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A job's readings with the intensity and PUE of their time, as far as they are known.

    ``pue_sources`` says whose word the PUE is, each once.
    """

    segments: tuple[PricedSegment, ...]
    unpriced: int
    pieces: tuple[Resolved, ...]
    pue_sources: tuple[str, ...] = ()

    @property
    def energy_j(self) -> int:
        """The energy of what is priced."""
        return sum(segment.energy_j for segment in self.segments)

    @property
    def mean_mg_per_kwh(self) -> int | None:
        """The energy-weighted mean intensity."""
        energy_j = self.energy_j
        if not energy_j:
            return None
        weighted = sum((one.energy_j * one.mg_per_kwh for one in self.segments), start=Fraction(0))
        return round(weighted / energy_j)

    @property
    def pue_ppm(self) -> int:
        """The energy-weighted mean PUE; 0 where none is known."""
        if not self.segments:
            return 0
        energy_j = self.energy_j
        if not energy_j:
            return self.segments[0].pue_ppm
        return round(Fraction(sum(one.energy_j * one.pue_ppm for one in self.segments), energy_j))


UNPRICED = Priced(segments=(), unpriced=0, pieces=())


class Pricing:
    """Prices readings as the archives stand now."""

    def __init__(self, grid: Grid, clock: Clock) -> None:
        self._grid = grid
        self._clock = clock

    def priced(self, managed: ManagedCluster, readings: Sequence[JobReading]) -> Priced:
        """Readings with the intensity and PUE that count for them now."""
        if not readings:
            return UNPRICED
        start_at = min(reading.start_at for reading in readings)
        end_at = max(reading.end_at for reading in readings)
        pieces = self._grid.actual(managed.zone, start_at, end_at, self._clock.now())
        steps = StepSeries(tuple(piece.point for piece in pieces))
        pue = managed.pue.within(start_at, end_at)
        known: list[PricedSegment] = []
        sources: dict[str, None] = {}
        for one in readings:
            value = pue.over(one.start_at, one.end_at)
            if value is None:
                continue
            segment = price_segment(one.start_at, one.end_at, one.energy_j, value.pue_ppm, steps)
            if segment is not None:
                known.append(segment)
                sources[value.source] = None
        return Priced(
            segments=tuple(known),
            unpriced=len(readings) - len(known),
            pieces=pieces,
            pue_sources=tuple(sources),
        )

    def embodied_mg(self, managed: ManagedCluster, readings: Sequence[JobReading]) -> int | None:
        """The job's share in the making of its nodes, rounded once.

        ``None`` where that of a node is not declared, or where it is not known how much of a node
        the job held: missing is not zero.
        """
        if managed.embodied is None or not readings:
            return None
        total = Fraction(0)
        for one in readings:
            share = managed.embodied.mg(one.node, one.node_ms)
            if share is None or (one.present_ms and not one.node_ms):
                return None
            total += share
        return round(total)
