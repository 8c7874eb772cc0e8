"""The sentences a researcher may print in a paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from carbonsched.accounting.car import CAR, CarFactor, car_km
from carbonsched.model.energy import Quality
from carbonsched.units import format_energy, format_mass


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFigures:
    """What a statement is about.

    ``quality_pct`` is each quality's share of the jobs' node-time; ``gas`` is what the intensity
    counts; ``pue`` is the lowest and highest that a job met; ``saved_mg`` is ``None`` where
    unknown. ``modelled_j`` is the energy of jobs of which a part was modelled, ``uncertainty_j``
    its standard deviation. ``embodied_mg`` is no part of ``mg``, ``None`` where not declared.
    """

    who: str
    period: str
    site: str
    jobs: int
    energy_j: int
    mg: int
    provisional_mg: int
    quality_pct: Mapping[Quality, float]
    intensity_label: str
    gas: str = "CO2eq"
    pue: tuple[float, float] | None = None
    pue_sources: tuple[str, ...] = ()
    saved_mg: int | None = None
    embodied_mg: int | None = None
    modelled_j: int = 0
    uncertainty_j: int = 0
    version: str = ""


def statement(figures: StatementFigures, car: CarFactor = CAR) -> str:
    """One paragraph that names every figure's origin and hides nothing that is missing."""
    if figures.jobs == 0:
        return f"No job of {figures.who} ran on {figures.site} in {figures.period}."
    count = "1 job" if figures.jobs == 1 else f"{figures.jobs} jobs"
    used = (
        f"The {count} of {figures.who} on {figures.site} in {figures.period} used"
        f" {format_energy(figures.energy_j)} of electricity ({_qualities(figures.quality_pct)}),"
        f" which caused an estimated {format_mass(figures.mg)} of {figures.gas}"
        f" at the carbon intensity of {figures.intensity_label}{_pue(figures)}."
    )
    drive = (
        f"That is as much as {_distance(car_km(figures.mg, car))} in a car emitting"
        f" {car.g_per_km:g} g CO2/km ({car.source}, {car.year})."
    )
    words = [used, drive]
    if figures.saved_mg is not None and figures.saved_mg > 0:
        words.append(
            f"Starting jobs in cleaner hours avoided an estimated {format_mass(figures.saved_mg)}."
        )
    if figures.embodied_mg is not None:
        words.append(
            f"Making the nodes emitted an estimated {format_mass(figures.embodied_mg)} for the time"
            " that the jobs held them (embodied carbon), which is not included."
        )
    if figures.modelled_j:
        words.append(
            f"{format_energy(figures.modelled_j)} of the energy is modelled,"
            f" give or take {format_energy(figures.uncertainty_j)} (one standard deviation)."
        )
    if figures.provisional_mg:
        words.append(
            f"{format_mass(figures.provisional_mg)} of it is provisional until the grid's final"
            " figures are published."
        )
    if figures.quality_pct.get(Quality.MISSING, 0) > 0:
        words.append("Energy that no reading covers is not included.")
    by = f"carbonsched {figures.version}".rstrip()
    words.append(f"Figures by {by}.")
    return " ".join(words)


def _pue(figures: StatementFigures) -> str:
    if figures.pue is None:
        return ""
    low, high = (f"{one:.4g}" for one in figures.pue)
    spread = low if low == high else f"{low} to {high}"
    source = f" ({', '.join(figures.pue_sources)})" if figures.pue_sources else ""
    return f" and a power usage effectiveness of {spread}{source}"


def _qualities(shares: Mapping[Quality, float]) -> str:
    parts = [f"{shares[one]:.0f} % {one.value}" for one in Quality if shares.get(one, 0) > 0]
    return ", ".join(parts) if parts else "no reading"


def _distance(km: float) -> str:
    if km < 1:
        return f"{1000 * km:.0f} m"
    return f"{km:.1f} km" if km < 100 else f"{km:.0f} km"
