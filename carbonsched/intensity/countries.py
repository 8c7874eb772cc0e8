"""Yearly average intensities of countries, the last resort; the notice lies beside the data."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from importlib.resources import files

from carbonsched.intensity.values import mg_from_text
from carbonsched.model.intensity import SeriesInfo

_SOURCE = "Our World in Data by way of carbontracker"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryAverage:
    """One country and year: production-based, lifecycle CO2eq, mg per kWh."""

    code: str
    country: str
    year: int
    g_per_kwh: Decimal
    mg_per_kwh: int

    def info(self, zone: str) -> SeriesInfo:
        """What the number means; always flagged static."""
        return SeriesInfo(
            provider="static",
            zone=zone,
            kind="average",
            basis="production",
            gas="CO2eq",
            scope="lifecycle",
            static=True,
            note=f"{self.country} {self.year}, {_SOURCE}, one value for all hours",
        )


def country_average(code: str) -> CountryAverage:
    """The average of a country by its ISO 3166 alpha-3 code, such as ``DNK``.

    Raises:
        ValueError: not in the table; names those that come near. No other country stands in.
    """
    table = _table()
    row = table.get(code)
    if row is None:
        raise ValueError(f"no country {code[:40]!a} in the table of averages{_near(code, table)}")
    mg_per_kwh = mg_from_text(row["g_per_kwh"])
    if mg_per_kwh is None:
        raise ValueError(f"the table of averages has no value for {code}")
    return CountryAverage(
        code=code,
        country=row["country"],
        year=int(row["year"]),
        g_per_kwh=Decimal(row["g_per_kwh"]),
        mg_per_kwh=mg_per_kwh,
    )


def _table() -> dict[str, dict[str, str]]:
    text = (files("carbonsched.intensity") / "data" / "country-averages.csv").read_text("utf-8")
    return {row["code"]: row for row in csv.DictReader(text.splitlines())}


def _near(code: str, table: dict[str, dict[str, str]]) -> str:
    """Codes that the writer may have meant: by alpha-2, by name, or by a slip of the pen."""
    meant = code.strip().upper()
    names = {row["country"].upper(): key for key, row in table.items()}
    found = [key for key, row in table.items() if meant in {key, row["alpha_2"]}]
    found += [names[name] for name in get_close_matches(meant, names, n=2, cutoff=0.75)]
    if not found:
        found = [key for key in table if _slip(meant, key)][:4]
    if not found:
        return ": write an ISO 3166 alpha-3 code such as DNK, or g_per_kwh, source and year"
    words = [f"{key} ({table[key]['country']})" for key in dict.fromkeys(found)]
    return f": did you mean {' or '.join(words)}?"


def _slip(meant: str, code: str) -> bool:
    """Whether one letter differs, or the letters are in another order."""
    differ = sum(one != other for one, other in zip(meant, code, strict=False))
    return len(meant) == len(code) and (differ == 1 or sorted(meant) == sorted(code))
