"""Providers that are the site's own: records, files, one number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import model_validator

from carbonsched.config.base import Section, cross_check, option
from carbonsched.config.quantities import AbsolutePath, Instant, Name, Seconds, like
from carbonsched.model.intensity import SeriesInfo

Signal = Literal["average", "marginal"]
Basis = Literal["production", "consumption"]
Gas = Literal["CO2", "CO2eq"]
Scope = Literal["direct", "lifecycle"]
SIGNAL = "Whether the figures are average or marginal intensity."
BASIS = "Whether they follow what the zone produces or what it consumes."
GAS = "Whether they count CO2 alone or all greenhouse gases (CO2eq)."
SCOPE = "Whether they count the chimney alone (direct) or the whole life cycle."

_SHIPPED_ZONE = "DE"
_SHIPPED_START = datetime(2021, 1, 1, tzinfo=UTC)
_SHIPPED_END = datetime(2022, 1, 1, tzinfo=UTC)
Country = Annotated[str, like("[A-Z]{3}", "a country by its three letters", "DNK")]


class ReplayConfig(Section):
    """A record of the past replayed as if it were now, for demonstrations and tests."""

    kind: Literal["replay"] = option("A recorded year, replayed.", example="replay")
    zone_in_file: str = option("The zone to take from the record.", example="DE", default="DE")
    start: Instant = option("The time in the record to begin at.", example="2021-07-05T00:00Z")
    begin: Instant = option("The time of now that it becomes.", example="2026-11-20T08:00Z")
    hour_s: Seconds = option(
        "How long one recorded hour lasts now.", example="10s", key="hour", ge=1.0
    )
    lag_hours: float = option(
        "How many recorded hours after its period a value becomes known.",
        example="1",
        default=1.0,
        shown="1",
        ge=0,
        le=1000,
    )
    actual: AbsolutePath | None = option(
        "A CSV of intensities; none: Germany 2021 as shipped (CarbonCast).",
        example="/srv/intensity/de.csv",
        default=None,
    )
    forecasts: AbsolutePath | None = option(
        "A CSV of forecasts; none: as shipped, or no forecasts where actual is given.",
        example="/srv/intensity/de-forecasts.csv",
        default=None,
    )
    signal: Signal | None = option(
        f"{SIGNAL} Required with actual.", example="average", default=None
    )
    basis: Basis | None = option(
        f"{BASIS} Required with actual.", example="production", default=None
    )
    gas: Gas | None = option(f"{GAS} Required with actual.", example="CO2eq", default=None)
    scope: Scope | None = option(
        f"{SCOPE} Required with actual.", example="lifecycle", default=None
    )

    def series_info(self, zone: str) -> SeriesInfo:
        """What the figures mean, before the note that it is a replay."""
        return SeriesInfo(
            provider="carboncast-replay" if self.actual is None else "replay",
            zone=zone,
            kind=self.signal or "average",
            basis=self.basis or "production",
            gas=self.gas or "CO2eq",
            scope=self.scope or "lifecycle",
        )

    @model_validator(mode="after")
    def _meaning_goes_with_the_file(self) -> Self:
        meaning = {"signal": self.signal, "basis": self.basis, "gas": self.gas, "scope": self.scope}
        if self.actual is None:
            if self.forecasts is not None:
                raise cross_check("forecasts", "forecasts of your own need actual beside them")
            if self.zone_in_file != _SHIPPED_ZONE:
                raise cross_check(
                    "zone_in_file", f"the shipped record has no zone but {_SHIPPED_ZONE}; write it"
                )
            if not _SHIPPED_START <= self.start < _SHIPPED_END:
                raise cross_check("start", "the shipped record is of 2021; choose a time in it")
            for name, value in meaning.items():
                if value is not None:
                    raise cross_check(name, "the shipped record says this itself; leave it out")
            return self
        for name, value in meaning.items():
            if value is None:
                raise cross_check(None, f"{name} is required with a record of your own")
        return self


class FileConfig(Section):
    """CSV files that another program of the site keeps up to date."""

    kind: Literal["file"] = option("CSV files on the daemon's host.", example="file")
    provider: Name = option("Whose figures these are; labels print it.", example="tso")
    actual: AbsolutePath = option(
        "A CSV of start,g_per_kwh and perhaps end and zone.", example="/srv/intensity/de.csv"
    )
    forecasts: AbsolutePath | None = option(
        "A CSV of issued,start,g_per_kwh and perhaps end and zone; none: no forecasts.",
        example="/srv/intensity/de-forecasts.csv",
        default=None,
    )
    zone_in_file: str | None = option(
        "Which rows to take where the files have a column zone; none: the zone's own name.",
        example="DE",
        default=None,
    )
    signal: Signal = option(SIGNAL, example="average")
    basis: Basis = option(BASIS, example="consumption")
    gas: Gas = option(GAS, example="CO2eq")
    scope: Scope = option(SCOPE, example="lifecycle")
    note: str = option("Words to print beside every figure.", example="CC BY 4.0", default="")

    def series_info(self, zone: str) -> SeriesInfo:
        """What the figures mean, as the site declares it."""
        return SeriesInfo(
            provider=self.provider,
            zone=zone,
            kind=self.signal,
            basis=self.basis,
            gas=self.gas,
            scope=self.scope,
            note=self.note,
        )


class StaticConfig(Section):
    """One number for every hour: the last resort, and marked as such in every report."""

    kind: Literal["static"] = option("One number, the last resort.", example="static")
    g_per_kwh: float | None = option(
        "The intensity in grams per kilowatt-hour; it or country is required.",
        example="400",
        default=None,
        ge=0.001,
        le=5000,
    )
    country: Country | None = option(
        "A country's yearly average as shipped, by its three letters: CO2eq, lifecycle, of what"
        " the country produces.",
        example="DNK",
        default=None,
    )
    source: str | None = option(
        "Who published g_per_kwh. Required with it.",
        example="yearly report of the grid operator",
        default=None,
        min_length=1,
    )
    year: int | None = option(
        "The year that g_per_kwh describes. Required with it.",
        example="2024",
        default=None,
        ge=1990,
        le=2100,
    )
    signal: Signal = option(SIGNAL, example="average", default="average")
    basis: Basis = option(BASIS, example="consumption", default="production")
    gas: Gas = option(GAS, example="CO2eq", default="CO2eq")
    scope: Scope = option(SCOPE, example="lifecycle", default="lifecycle")

    def series_info(self, zone: str) -> SeriesInfo:
        """Flagged as static, with whose number of which year it is in the note."""
        whose = self.country or f"{self.source} {self.year}"
        return SeriesInfo(
            provider="static",
            zone=zone,
            kind=self.signal,
            basis=self.basis,
            gas=self.gas,
            scope=self.scope,
            static=True,
            note=f"{whose}, one value for all hours",
        )

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if self.country is None:
            if self.g_per_kwh is None:
                raise cross_check(
                    None, "says no number; write g_per_kwh with source and year, or country"
                )
            for name in ("source", "year"):
                if getattr(self, name) is None:
                    raise cross_check(None, f"{name} is required with g_per_kwh; add {name}:")
            return self
        for name in ("g_per_kwh", "source", "year"):
            if getattr(self, name) is not None:
                raise cross_check(name, "the shipped table says this of the country; leave it out")
        fixed = {"signal": "average", "basis": "production", "gas": "CO2eq", "scope": "lifecycle"}
        for name, value in fixed.items():
            if getattr(self, name) != value:
                raise cross_check(name, f"the shipped averages are {value}; leave this out")
        return self
