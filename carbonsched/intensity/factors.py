"""Emission factors per fuel, and the intensity of a mix of fuels, exactly.

A set is data with a name and a version (``data/emission-factors.csv``); both go on every figure
made with it, since sets differ by up to half.

A grid's intensity is sum(generation x factor) / sum(generation) over what generates. Storage is
left out on both sides: what it gives back was generated, and counted, before. So is a fuel that
takes more than it gives (a plant's own use at night): that is load.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from typing import Literal, cast

from carbonsched.units import MG_PER_G

LIFECYCLE = "ipcc-2014-lifecycle"
DIRECT = "ipcc-2014-direct"
STORAGE = "storage"
UNKNOWN = "unknown"
UNSTEADY = frozenset({"solar", "wind_offshore", "wind_onshore", STORAGE})
"""What stands still for hours and comes back at once, as a matter of course."""

_ENTSOE = {
    "B01": "biomass",
    "B02": "lignite",
    "B03": "coal_gas",
    "B04": "gas",
    "B05": "coal",
    "B06": "oil",
    "B07": "oil_shale",
    "B08": "peat",
    "B09": "geothermal",
    "B10": STORAGE,
    "B11": "hydro",
    "B12": "hydro",
    "B13": "marine",
    "B14": "nuclear",
    "B16": "solar",
    "B17": "waste",
    "B18": "wind_offshore",
    "B19": "wind_onshore",
    "B25": STORAGE,
}
_EIA = {
    "BAT": STORAGE,
    "COL": "coal",
    "GEO": "geothermal",
    "NG": "gas",
    "NUC": "nuclear",
    "OES": STORAGE,
    "OIL": "oil",
    "PS": STORAGE,
    "SNB": "solar",
    "SUN": "solar",
    "UES": STORAGE,
    "WAT": "hydro",
    "WNB": "wind_onshore",
    "WND": "wind_onshore",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSet:
    """Grams per kWh generated, by fuel; ``sources`` says where each number is from."""

    name: str
    version: str
    gas: Literal["CO2", "CO2eq"]
    scope: Literal["direct", "lifecycle"]
    g_per_kwh: Mapping[str, Fraction]
    sources: Mapping[str, str]

    @property
    def label(self) -> str:
        """What to print beside every figure."""
        return f"emission factors {self.name} {self.version}"

    def of(self, fuel: str) -> Fraction:
        """The fuel's factor; that of ``unknown`` for one that the set does not name."""
        return self.g_per_kwh.get(fuel, self.g_per_kwh[UNKNOWN])


def factor_set(name: str = LIFECYCLE) -> FactorSet:
    """The set of that name.

    Raises:
        ValueError: there is none; names those there are.
    """
    text = (files("carbonsched.intensity") / "data" / "emission-factors.csv").read_text("utf-8")
    table = list(csv.DictReader(text.splitlines()))
    rows = [row for row in table if row["set"] == name]
    if not rows:
        names = ", ".join(sorted({row["set"] for row in table}))
        raise ValueError(f"there are no emission factors {name!r}: choose one of {names}")
    return FactorSet(
        name=name,
        version=rows[0]["version"],
        gas=cast("Literal['CO2', 'CO2eq']", rows[0]["gas"]),
        scope=cast("Literal['direct', 'lifecycle']", rows[0]["scope"]),
        g_per_kwh={row["fuel"]: Fraction(row["g_per_kwh"]) for row in rows},
        sources={row["fuel"]: row["source"] for row in rows},
    )


def entsoe_fuel(psr_type: str) -> str:
    """The fuel of an ENTSO-E production type (B15, B20 and new ones are ``unknown``)."""
    return _ENTSOE.get(psr_type, UNKNOWN)


def eia_fuel(code: str) -> str:
    """The fuel of an EIA code (OTH, UNK and new ones are ``unknown``)."""
    return _EIA.get(code, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Output:
    """What generates at one time: power or energy, and the grams per hour or in all."""

    amount: Fraction
    grams: Fraction

    @property
    def mg_per_kwh(self) -> int | None:
        """The intensity in whole mg/kWh, half to even.

        ``None`` where nothing generates, or where no fuel of it has emissions: a zero for a whole
        grid is more often a fuel that was not reported.
        """
        if self.amount <= 0:
            return None
        return round(self.grams / self.amount * MG_PER_G) or None


def output(generation: Mapping[str, Fraction], factors: FactorSet) -> Output:
    """The sum over the fuels that generate; any unit of power or energy, the same for all."""
    amount = grams = Fraction(0)
    for fuel, value in generation.items():
        if fuel != STORAGE and value > 0:
            amount += value
            grams += value * factors.of(fuel)
    return Output(amount, grams)
