"""Grid zones and the providers of their carbon intensity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from carbonsched.config.base import Section, cross_check, option
from carbonsched.config.quantities import AbsolutePath, Instant, Name, Seconds, WebUrl
from carbonsched.model.intensity import SeriesInfo

Signal = Literal["average", "marginal"]
Basis = Literal["production", "consumption"]
Gas = Literal["CO2", "CO2eq"]
Scope = Literal["direct", "lifecycle"]

_SHIPPED_ZONE = "DE"
_SHIPPED_START = datetime(2021, 1, 1, tzinfo=UTC)
_SHIPPED_END = datetime(2022, 1, 1, tzinfo=UTC)
_SIGNAL = "Whether the figures are average or marginal intensity."
_BASIS = "Whether they follow what the zone produces or what it consumes."
_GAS = "Whether they count CO2 alone or all greenhouse gases (CO2eq)."
_SCOPE = "Whether they count the chimney alone (direct) or the whole life cycle."


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
        f"{_SIGNAL} Required with actual.", example="average", default=None
    )
    basis: Basis | None = option(
        f"{_BASIS} Required with actual.", example="production", default=None
    )
    gas: Gas | None = option(f"{_GAS} Required with actual.", example="CO2eq", default=None)
    scope: Scope | None = option(
        f"{_SCOPE} Required with actual.", example="lifecycle", default=None
    )

    def series_info(self, zone: str) -> SeriesInfo:
        """What the figures mean, before the note that it is a replay."""
        return SeriesInfo(
            provider="replay",
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
    signal: Signal = option(_SIGNAL, example="average")
    basis: Basis = option(_BASIS, example="consumption")
    gas: Gas = option(_GAS, example="CO2eq")
    scope: Scope = option(_SCOPE, example="lifecycle")
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


class NesoConfig(Section):
    """Great Britain's Carbon Intensity API (NESO): live, no key."""

    kind: Literal["neso"] = option("Great Britain, live, without a key.", example="neso")
    base_url: WebUrl = option(
        "The service's address.",
        example="https://api.carbonintensity.org.uk",
        default="https://api.carbonintensity.org.uk",
    )
    timeout_s: Seconds = option(
        "How long one request may take.",
        example="10s",
        default=10.0,
        key="timeout",
        shown="10s",
        gt=0,
        le=120,
    )

    def series_info(self, zone: str) -> SeriesInfo:
        """Average, roughly consumption, direct CO2."""
        return SeriesInfo(
            provider="neso",
            zone=zone,
            kind="average",
            basis="consumption",
            gas="CO2",
            scope="direct",
            note="National Energy System Operator, CC BY 4.0",
        )


class StaticConfig(Section):
    """One number for every hour: the last resort, and marked as such in every report."""

    kind: Literal["static"] = option("One number, the last resort.", example="static")
    g_per_kwh: float = option(
        "The intensity in grams per kilowatt-hour.", example="400", ge=0.001, le=5000
    )
    source: str = option(
        "Who published the number.", example="yearly report of the grid operator", min_length=1
    )
    year: int = option("The year that it describes.", example="2024", ge=1990, le=2100)
    signal: Signal = option(_SIGNAL, example="average", default="average")
    basis: Basis = option(_BASIS, example="production", default="production")
    gas: Gas = option(_GAS, example="CO2eq", default="CO2eq")
    scope: Scope = option(_SCOPE, example="lifecycle", default="lifecycle")

    def series_info(self, zone: str) -> SeriesInfo:
        """Flagged as static, with source and year in the note."""
        return SeriesInfo(
            provider="static",
            zone=zone,
            kind=self.signal,
            basis=self.basis,
            gas=self.gas,
            scope=self.scope,
            static=True,
            note=f"{self.source} {self.year}, one value for all hours",
        )


ProviderConfig = Annotated[
    ReplayConfig | FileConfig | NesoConfig | StaticConfig, Field(discriminator="kind")
]


class ZoneConfig(Section):
    """One grid zone and its providers, asked in order until one answers."""

    name: Name = option("The zone's name, as clusters name it.", example="DE")
    providers: tuple[ProviderConfig, ...] = option(
        "The providers, the best first; a static value only as the last.",
        example=None,
        min_length=1,
    )

    @model_validator(mode="after")
    def _static_is_the_last_resort(self) -> Self:
        for index, provider in enumerate(self.providers[:-1]):
            if provider.kind == "static":
                raise cross_check(
                    f"providers.{index}", "a static value answers always; put it last"
                )
        return self

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        """Figures of different meanings cannot be added up; the flagged last resort may differ."""
        first: SeriesInfo | None = None
        for index, provider in enumerate(self.providers):
            if provider.kind == "static":
                continue
            info = provider.series_info(self.name)
            first = first or info
            for word in ("kind", "basis", "gas", "scope"):
                if getattr(info, word) != getattr(first, word):
                    raise cross_check(
                        f"providers.{index}",
                        f"its figures are {getattr(info, word)} and those of providers[0] are"
                        f" {getattr(first, word)}; one chain keeps to one meaning",
                    )
        return self
