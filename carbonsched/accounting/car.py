"""How far a car goes for the same mass: a picture for people, never used in reckoning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CarFactor:
    """Grams of CO2 per kilometre with where the figure is from and the year it describes."""

    g_per_km: float
    source: str
    year: int
    url: str


CAR = CarFactor(
    g_per_km=108.1,
    source="European Environment Agency, average of new passenger cars registered in Europe (WLTP)",
    year=2022,
    url="https://www.eea.europa.eu/en/analysis/indicators/co2-performance-of-new-passenger",
)


def car_km(mg: int, factor: CarFactor = CAR) -> float:
    """Kilometres by that car for the milligrams."""
    return mg / 1000 / factor.g_per_km
