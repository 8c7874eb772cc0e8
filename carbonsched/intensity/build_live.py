"""Live services from their settings; zones that use the same one share what asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from carbonsched.intensity.factors import factor_set
from carbonsched.intensity.http.fetch import Fetcher
from carbonsched.intensity.http.secret import Secret
from carbonsched.intensity.providers import (
    eds,
    eia,
    electricity_maps,
    energy_charts,
    entsoe,
    gsf,
    neso,
    watttime,
)
from carbonsched.ports import Clock, IntensityProvider


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a provider is made: its arguments and the settings that they are, and its key's name."""

    make: Callable[..., IntensityProvider]
    fetcher: Callable[..., Fetcher]
    arguments: Mapping[str, str]
    key_as: str | None = None


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_KINDS: Mapping[str, _Kind] = {
    "eds": _Kind(eds.EdsProvider, eds.shared_fetcher, _same("area")),
    "neso": _Kind(neso.NesoProvider, neso.shared_fetcher, _same("region", "postcode")),
    "electricity_maps": _Kind(
        electricity_maps.ElectricityMapsProvider,
        electricity_maps.shared_fetcher,
        _same("place", "scope"),
        key_as="key",
    ),
    "watttime": _Kind(
        watttime.WattTimeProvider,
        watttime.shared_fetcher,
        _same("username", "region", "signal"),
        key_as="password",
    ),
    "energy_charts": _Kind(
        energy_charts.EnergyChartsProvider,
        energy_charts.shared_fetcher,
        _same("country", "basis", "scope"),
    ),
    "entsoe": _Kind(
        entsoe.EntsoeProvider, entsoe.shared_fetcher, _same("domain", "factors"), key_as="key"
    ),
    "eia": _Kind(eia.EiaProvider, eia.shared_fetcher, _same("respondent", "factors"), key_as="key"),
    "gsf": _Kind(
        gsf.GsfProvider,
        gsf.shared_fetcher,
        _same("location", "answers_as", "basis", "gas", "scope", "note") | {"kind": "signal"},
    ),
}


class Services:
    """One fetcher for each service and account: its cache, its silence and its one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._fetchers: dict[tuple[object, ...], Fetcher] = {}

    def fetcher(self, settings: Any) -> Fetcher:
        """The fetcher that goes with a provider's settings.

        Services limit by address and account, so those that differ in either do not share. Those
        that differ in their time limit do, and the longest holds for all of them.
        """
        account = [getattr(settings, name, None) for name in ("key_file", "key_env", "username")]
        timeout_s = float(settings.timeout_s)
        key = (settings.kind, settings.base_url, *account)
        if key not in self._fetchers:
            make = _KINDS[settings.kind].fetcher
            self._fetchers[key] = make(clock=self._clock, timeout_s=timeout_s)
        self._fetchers[key].allow(timeout_s)
        return self._fetchers[key]


def build_live(zone: str, settings: Any, clock: Clock, services: Services) -> IntensityProvider:
    """One provider that asks a service; ``ValueError`` where its settings cannot work."""
    kind = _KINDS.get(settings.kind)
    if kind is None:
        others = ", ".join((*_KINDS, "file", "replay"))
        raise ValueError(f"there is no provider {settings.kind!r}: {others} or static")
    arguments = {name: getattr(settings, setting) for name, setting in kind.arguments.items()}
    if "factors" in arguments:
        arguments["factors"] = factor_set(settings.factors)
    if kind.key_as is not None:
        arguments[kind.key_as] = _key(settings)
    return kind.make(
        zone=zone,
        clock=clock,
        base_url=settings.base_url,
        timeout_s=float(settings.timeout_s),
        fetcher=services.fetcher(settings),
        **arguments,
    )


def _key(settings: Any) -> Secret:
    """Where the key is; it is read whenever it is needed, not now."""
    if settings.key_file is not None:
        return Secret.from_file(settings.key_file)
    return Secret.from_environment(settings.key_env)
