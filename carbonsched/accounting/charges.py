"""From metered energy to milligrams: exact until the one rounding that posts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from carbonsched.model.intensity import StepSeries
from carbonsched.units import emissions_mg, to_mg


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedSegment:
    """One job's energy over ``[start_at, end_at)`` on a node, with intensity and PUE of that time.

    ``mg_per_kwh`` is the exact time-weighted mean: energy is taken to flow evenly in a segment.
    ``pue_ppm`` is that of the segment's time, in whole parts per million.
    """

    start_at: int
    end_at: int
    energy_j: int
    pue_ppm: int
    mg_per_kwh: Fraction


def price_segment(
    start_at: int, end_at: int, energy_j: int, pue_ppm: int, actual: StepSeries
) -> PricedSegment | None:
    """The segment with its intensity, or ``None`` where that is not known throughout."""
    mean = actual.mean(start_at, end_at)
    if mean is None:
        return None
    return PricedSegment(
        start_at=start_at, end_at=end_at, energy_j=energy_j, pue_ppm=pue_ppm, mg_per_kwh=mean
    )


def segment_mg(segment: PricedSegment) -> Fraction:
    """Exact milligrams of one segment."""
    return _exact_mg(segment.energy_j, segment.pue_ppm, segment.mg_per_kwh)


def job_charge(segments: Iterable[PricedSegment]) -> Fraction:
    """Exact milligrams of a whole job; the order of the segments does not matter."""
    return sum((segment_mg(segment) for segment in segments), start=Fraction(0))


def charge_delta(exact: Fraction, already_mg: int) -> int:
    """What is still to be posted so that a job's entries sum to its exact charge, rounded once.

    Negative where a revised intensity lowers what has been charged.
    """
    return to_mg(exact) - already_mg


def saved_mg(
    *,
    energy_j: int,
    baseline_at: int,
    started_at: int,
    ended_at: int,
    actual: StepSeries,
    pue: Callable[[int, int], int | None],
    charged_mg: int,
) -> int | None:
    """What the job would have emitted, had it started when it could have, less what it did.

    The same energy, spread evenly over as long a run from ``baseline_at``, at the intensities that
    really occurred and the PUE of those hours; ``pue`` gives its mean over an interval in parts per
    million. Negative where waiting was a mistake; ``None`` where either is not known throughout.
    """
    elapsed_s = ended_at - started_at
    if elapsed_s <= 0:
        return None if energy_j else -charged_mg
    until_at = baseline_at + elapsed_s
    if actual.mean(baseline_at, until_at) is None:
        return None
    exact = Fraction(0)
    for point in actual.points:
        start_at, end_at = max(point.start_at, baseline_at), min(point.end_at, until_at)
        if start_at >= end_at:
            continue
        # By period of the intensity: the mean of a product is not the product of the means.
        pue_ppm = pue(start_at, end_at)
        if pue_ppm is None:
            return None
        share = Fraction(end_at - start_at, elapsed_s)
        exact += emissions_mg(energy_j, pue_ppm, point.mg_per_kwh) * share
    return to_mg(exact) - charged_mg


def _exact_mg(energy_j: int, pue_ppm: int, mg_per_kwh: Fraction) -> Fraction:
    return emissions_mg(energy_j, pue_ppm, mg_per_kwh.numerator) / mg_per_kwh.denominator
