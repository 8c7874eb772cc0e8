"""Services that tell a grid's intensity, one section for each kind."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from carbonsched.config.base import Section, cross_check, option
from carbonsched.config.own_series import (
    BASIS,
    GAS,
    SCOPE,
    SIGNAL,
    Basis,
    FileConfig,
    Gas,
    ReplayConfig,
    Scope,
    Signal,
    StaticConfig,
)
from carbonsched.config.quantities import AbsolutePath, Name, Seconds, WebUrl, like
from carbonsched.model.intensity import SeriesInfo

Factors = Literal["ipcc-2014-lifecycle", "ipcc-2014-direct"]
Postcode = Annotated[str, like("[A-Z]{1,2}[0-9][0-9A-Z]?", "the first half of a postcode", "NW1")]
EicCode = Annotated[str, like("[0-9A-Z-]{16}", "an EIC code", "10YDK-2--------M")]
Variable = Annotated[str, like("[A-Za-z_][A-Za-z0-9_]*", "a variable's name", "SERVICE_KEY")]
Letters = Annotated[str, like("[a-z]{2,3}", "the service's code of a country", "de")]
Authority = Annotated[str, like("[A-Z0-9]{2,5}", "a balancing authority's code", "CISO")]
_FACTORS = "The emission factors that turn generation into intensity."


def _address(url: str) -> WebUrl:
    return option("The service's address.", example=url, default=url)  # type: ignore[no-any-return]


def _timeout(seconds: int = 10) -> float:
    return option(  # type: ignore[no-any-return]
        "How long one request may take.",
        example=f"{seconds}s",
        default=float(seconds),
        key="timeout",
        shown=f"{seconds}s",
        gt=0,
        le=120,
    )


class KeyedConfig(Section):
    """A service that wants a key, which stands in a file or in the daemon's environment."""

    kind: str
    key_file: AbsolutePath | None = option(
        "The file that holds the key alone, not readable by all; it or key_env is required.",
        example="/etc/carbonsched/service.key",
        default=None,
    )
    key_env: Variable | None = option(
        "The environment variable of the daemon that holds the key.",
        example="SERVICE_KEY",
        default=None,
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.key_file is None and self.key_env is None:
            raise cross_check(
                None,
                "key_file or key_env is required: where the key is; the key itself never"
                " stands in this file",
            )
        if self.key_file is not None and self.key_env is not None:
            raise cross_check("key_env", "key_file stands beside it; leave one")
        return self


class EdsConfig(Section):
    """Denmark's Energi Data Service (Energinet): live, no key."""

    kind: Literal["eds"] = option("Denmark, live, without a key.", example="eds")
    area: Literal["DK1", "DK2"] = option(
        "The price area: DK1 is west of the Great Belt, DK2 east of it.", example="DK2"
    )
    base_url: WebUrl = _address("https://api.energidataservice.dk")
    timeout_s: Seconds = _timeout()

    def series_info(self, zone: str) -> SeriesInfo:
        """Average, consumption, direct CO2."""
        return SeriesInfo(
            provider="eds",
            zone=zone,
            kind="average",
            basis="consumption",
            gas="CO2",
            scope="direct",
        )


class NesoConfig(Section):
    """Great Britain's Carbon Intensity API (NESO): live, no key."""

    kind: Literal["neso"] = option("Great Britain, live, without a key.", example="neso")
    region: int | None = option(
        "NESO's number of a region; none: the whole nation, or postcode.",
        example="13",
        default=None,
        ge=1,
        le=17,
    )
    postcode: Postcode | None = option(
        "The first half of a postcode, whose region it is.", example="NW1", default=None
    )
    base_url: WebUrl = _address("https://api.carbonintensity.org.uk")
    timeout_s: Seconds = _timeout()

    def series_info(self, zone: str) -> SeriesInfo:
        """Average, roughly consumption, direct CO2."""
        return SeriesInfo(
            provider="neso",
            zone=zone,
            kind="average",
            basis="consumption",
            gas="CO2",
            scope="direct",
        )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.region is not None and self.postcode is not None:
            raise cross_check("postcode", "region stands beside it; leave one")
        return self


class ElectricityMapsConfig(KeyedConfig):
    """Electricity Maps, v4: live, with a key; mind the terms of free keys."""

    kind: Literal["electricity_maps"] = option(
        "Most of the world, live, with a key.", example="electricity_maps"
    )
    place: Name = option("The service's own name of the zone.", example="DK-DK2")
    scope: Scope = option(SCOPE, example="lifecycle", default="lifecycle")
    base_url: WebUrl = _address("https://api.electricitymaps.com/v4")
    timeout_s: Seconds = _timeout()

    def series_info(self, zone: str) -> SeriesInfo:
        """Average, consumption (flow-traced), CO2eq of the declared scope."""
        return SeriesInfo(
            provider="electricity-maps",
            zone=zone,
            kind="average",
            basis="consumption",
            gas="CO2eq",
            scope=self.scope,
        )


class WattTimeConfig(KeyedConfig):
    """WattTime, v3: live, with an account; marginal intensity, so for ranking only."""

    kind: Literal["watttime"] = option("Marginal intensity, with an account.", example="watttime")
    username: str = option(
        "The account's name; key_file or key_env holds its password.",
        example="site",
        min_length=1,
    )
    region: Name = option("The service's own name of the region.", example="CAISO_NORTH")
    signal: Literal["co2_moer", "co2_aoer"] = option(
        "Which figure: marginal (co2_moer) or average without forecasts (co2_aoer).",
        example="co2_moer",
    )
    base_url: WebUrl = _address("https://api.watttime.org")
    timeout_s: Seconds = _timeout()

    def series_info(self, zone: str) -> SeriesInfo:
        """Production, direct CO2; marginal but for ``co2_aoer``."""
        return SeriesInfo(
            provider="watttime",
            zone=zone,
            kind="average" if self.signal == "co2_aoer" else "marginal",
            basis="production",
            gas="CO2",
            scope="direct",
        )


class EnergyChartsConfig(Section):
    """Energy-Charts (Fraunhofer ISE): European countries, live, no key."""

    kind: Literal["energy_charts"] = option(
        "European countries, live, without a key.", example="energy_charts"
    )
    country: Letters = option("The country as the service writes it.", example="de")
    basis: Basis = option(f"{BASIS} The service does not say.", example="production")
    scope: Scope = option(f"{SCOPE} The service does not say.", example="lifecycle")
    base_url: WebUrl = _address("https://api.energy-charts.info")
    timeout_s: Seconds = _timeout()

    def series_info(self, zone: str) -> SeriesInfo:
        """Average CO2eq; basis and scope as the site declares."""
        return SeriesInfo(
            provider="energy-charts",
            zone=zone,
            kind="average",
            basis=self.basis,
            gas="CO2eq",
            scope=self.scope,
        )


class EntsoeConfig(KeyedConfig):
    """ENTSO-E's Transparency Platform: Europe, generation by type with named factors."""

    kind: Literal["entsoe"] = option("Europe, computed from generation.", example="entsoe")
    domain: EicCode = option("The bidding zone's EIC code.", example="10YDK-2--------M")
    factors: Factors = option(
        _FACTORS, example="ipcc-2014-lifecycle", default="ipcc-2014-lifecycle"
    )
    base_url: WebUrl = _address("https://web-api.tp.entsoe.eu/api")
    timeout_s: Seconds = _timeout(30)

    def series_info(self, zone: str) -> SeriesInfo:
        """Average, production; gas and scope are the factors'."""
        return _computed("entsoe", zone, self.factors)


class EiaConfig(KeyedConfig):
    """The U.S. Energy Information Administration, v2: generation by fuel with named factors."""

    kind: Literal["eia"] = option("America, computed from generation.", example="eia")
    respondent: Authority = option("The balancing authority's code.", example="CISO")
    factors: Factors = option(
        _FACTORS, example="ipcc-2014-lifecycle", default="ipcc-2014-lifecycle"
    )
    base_url: WebUrl = _address("https://api.eia.gov")
    timeout_s: Seconds = _timeout(20)

    def series_info(self, zone: str) -> SeriesInfo:
        """Average, production; gas and scope are the factors'."""
        return _computed("eia", zone, self.factors)


class GsfConfig(Section):
    """A Carbon Aware SDK WebAPI (Green Software Foundation) that the site runs."""

    kind: Literal["gsf"] = option("A Carbon Aware SDK of the site.", example="gsf")
    base_url: WebUrl = option(
        "Its address; it is reached without proxies.", example="http://carbon-aware:8080"
    )
    location: str = option("The location to ask for.", example="northeurope", min_length=1)
    answers_as: str | None = option(
        "The name that its rows bear, where that is another.",
        example="CAISO_NORTH",
        default=None,
        min_length=1,
    )
    signal: Signal = option(f"{SIGNAL} It does not say.", example="average")
    basis: Basis = option(f"{BASIS} It does not say.", example="consumption")
    gas: Gas = option(f"{GAS} It does not say.", example="CO2eq")
    scope: Scope = option(f"{SCOPE} It does not say.", example="lifecycle")
    note: str = option(
        "Words to print beside every figure, such as whose data it passes on.",
        example="Electricity Maps",
        default="",
    )
    timeout_s: Seconds = _timeout()

    def series_info(self, zone: str) -> SeriesInfo:
        """As the site declares it."""
        return SeriesInfo(
            provider="gsf",
            zone=zone,
            kind=self.signal,
            basis=self.basis,
            gas=self.gas,
            scope=self.scope,
            note=self.note,
        )


def _computed(provider: str, zone: str, factors: Factors) -> SeriesInfo:
    direct = factors == "ipcc-2014-direct"
    return SeriesInfo(
        provider=provider,
        zone=zone,
        kind="average",
        basis="production",
        gas="CO2" if direct else "CO2eq",
        scope="direct" if direct else "lifecycle",
        note=factors,
    )


ProviderConfig = Annotated[
    EdsConfig
    | NesoConfig
    | ElectricityMapsConfig
    | WattTimeConfig
    | EnergyChartsConfig
    | EntsoeConfig
    | EiaConfig
    | GsfConfig
    | FileConfig
    | ReplayConfig
    | StaticConfig,
    Field(discriminator="kind"),
]
