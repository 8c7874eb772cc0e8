"""Whose word counts for each moment, where several providers tell of the same interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carbonsched.intensity.periods import uncovered
from carbonsched.model.intensity import IntensitySeries, Point, SeriesInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The intensity that counts over ``[start_at, end_at)`` and whose word it is.

    ``estimated`` is that provider's own flag for it.
    """

    start_at: int
    end_at: int
    mg_per_kwh: int
    info: SeriesInfo
    fetched_at: int
    estimated: bool = False

    @property
    def point(self) -> Point:
        """The bare value, for a :class:`carbonsched.model.intensity.StepSeries`."""
        return Point(self.start_at, self.end_at, self.mg_per_kwh)


def resolve(
    series: Sequence[IntensitySeries],
    start_at: int,
    end_at: int,
    now: int,
    settle_lag_s: int,
) -> tuple[Resolved, ...]:
    """Pieces of ``[start_at, end_at)`` in time order, without overlap, gaps where nothing counts.

    ``series`` is in order of preference and has one entry for each provider of the chain, empty
    where it has nothing: the first entry is the preferred provider even if it told nothing. Its
    points count wherever it has them, those of its further entries, under an earlier note, behind
    them. A later provider fills what is left, but only periods that ended
    at least ``settle_lag_s`` before ``now``: until then the earlier ones may still deliver.
    """
    pieces: list[Resolved] = []
    for told in series:
        preferred = told.info.provider == series[0].info.provider
        until_at = end_at if preferred else min(end_at, now - settle_lag_s)
        taken = [piece.point for piece in pieces]
        gaps = uncovered(taken, start_at, end_at)
        pieces += _fill(told, gaps, until_at)
    return tuple(sorted(pieces, key=lambda piece: piece.start_at))


def _fill(told: IntensitySeries, gaps: list[tuple[int, int]], until_at: int) -> list[Resolved]:
    """What one series has within the gaps, of stretches that end by ``until_at``."""
    pieces = []
    points = sorted(told.points, key=lambda point: point.start_at)
    first = 0
    for gap_start, gap_end in gaps:
        reached = gap_start
        while first < len(points) and points[first].end_at <= gap_start:
            first += 1
        for point in points[first:]:
            if point.start_at >= gap_end:
                break
            start_at, end_at = max(point.start_at, reached), min(point.end_at, gap_end)
            if start_at < end_at <= until_at:
                pieces.append(
                    Resolved(
                        start_at=start_at,
                        end_at=end_at,
                        mg_per_kwh=point.mg_per_kwh,
                        info=told.info,
                        fetched_at=told.fetched_at,
                        estimated=point.estimated,
                    )
                )
                reached = end_at
    return pieces
