"""A zone's chains of providers from its part of the configuration.

The configuration lies beside this package, so its objects are taken by their attributes;
``series_info(zone)`` is what the site declared its figures to mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol

from carbonsched.errors import ConfigError
from carbonsched.intensity import shipped
from carbonsched.intensity.build_live import Services, build_live
from carbonsched.intensity.chain import BackOff, Chain
from carbonsched.intensity.countries import country_average
from carbonsched.intensity.providers.files import FileProvider
from carbonsched.intensity.providers.replay import ReplayProvider, Restamp, replay_note
from carbonsched.intensity.providers.static import StaticProvider
from carbonsched.intensity.records import CsvRecords
from carbonsched.intensity.values import mg_from_number, parse_instant
from carbonsched.model.intensity import SeriesInfo
from carbonsched.ports import Clock, IntensityProvider

_HOUR_S = 3600
_Key = Literal["providers", "ranking"]


class ZoneSettings(Protocol):
    """A zone of the configuration."""

    @property
    def name(self) -> str:
        """What clusters call it."""
        ...

    @property
    def providers(self) -> Sequence[Any]:
        """Settings of its providers, told apart by ``kind``, the preferred one first."""
        ...

    @property
    def ranking(self) -> Sequence[Any]:
        """The same of those that compare starts; empty where ``providers`` do."""
        ...


@dataclass(frozen=True, slots=True)
class Chains:
    """The chains of a site's zones by name; ``ranking`` has those zones that name one."""

    providers: dict[str, Chain]
    ranking: dict[str, Chain]


def build_chains(
    zones: Iterable[ZoneSettings], clock: Clock, *, back_off: BackOff | None = None
) -> Chains:
    """The chains of all zones, which share what asks a service that several of them use.

    Raises:
        ConfigError: settings that no provider can work with, one line for each.
    """
    services = Services(clock)
    chains = Chains({}, {})
    problems: list[str] = []
    for zone in zones:
        wanted: list[tuple[_Key, dict[str, Chain]]] = [
            ("providers", chains.providers),
            ("ranking", chains.ranking),
        ]
        for key, into in wanted:
            if not getattr(zone, key):
                continue
            try:
                chain = build_chain(zone, clock, key=key, services=services, back_off=back_off)
            except ConfigError as error:
                problems += error.problems
            else:
                into[zone.name] = chain
    if problems:
        raise ConfigError(problems)
    return chains


def build_chain(
    zone: ZoneSettings,
    clock: Clock,
    *,
    key: _Key = "providers",
    services: Services | None = None,
    back_off: BackOff | None = None,
) -> Chain:
    """One of the zone's chains. Nothing is read or asked yet.

    Raises:
        ConfigError: a setting that no provider can work with.
    """
    services = services or Services(clock)
    providers: list[IntensityProvider] = []
    for index, settings in enumerate(getattr(zone, key)):
        try:
            provider = build_provider(zone.name, settings, clock, services)
            _check_meaning(provider.info, [one.info for one in providers], key)
            providers.append(provider)
        except ValueError as error:
            name = "provider" if key == "providers" else "ranking provider"
            where = f"zones, {zone.name}, {name} {index + 1} ({settings.kind})"
            raise ConfigError([f"{where}: {error}"]) from None
    return Chain(zone.name, providers, clock, back_off=back_off)


def _check_meaning(info: SeriesInfo, others: Sequence[SeriesInfo], key: _Key) -> None:
    """Hold the configuration's rule against what the providers themselves say they tell."""
    if key == "providers" and info.kind == "marginal":
        raise ValueError("marginal intensity charges no job; put it under the zone's ranking")
    for other in others:
        for word in ("kind", "basis", "gas", "scope"):
            ours, theirs = getattr(info, word), getattr(other, word)
            if ours != theirs:
                raise ValueError(
                    f"the figures of {info.provider} are {ours} and those of {other.provider} are"
                    f" {theirs}; one chain keeps to one meaning"
                )
        if info.provider == other.provider:
            raise ValueError(f"{info.provider} stands before it too; keep one of them")


def build_provider(
    zone: str, settings: Any, clock: Clock, services: Services | None = None
) -> IntensityProvider:
    """One provider; ``ValueError`` where its settings cannot work."""
    match settings.kind:
        case "replay":
            return _replay(zone, settings, clock)
        case "file":
            return _file(zone, settings, clock)
        case "static":
            return _static(zone, settings, clock)
        case _:
            return build_live(zone, settings, clock, services or Services(clock))


def _replay(zone: str, settings: Any, clock: Clock) -> ReplayProvider:
    own = settings.actual is not None
    if settings.forecasts is not None and not own:
        raise ValueError("'forecasts' needs 'actual' beside it")
    if not own and settings.zone_in_file != shipped.ZONE:
        raise ValueError(f"the shipped record is of {shipped.ZONE}: set zone_in_file to it")
    start_at = _instant(settings.start)
    info = replace(
        settings.series_info(zone) if own else SeriesInfo(provider="", zone=zone),
        provider="replay" if own else "carboncast-replay",
        note=replay_note(settings.zone_in_file, start_at, float(settings.hour_s)),
    )
    records = CsvRecords(
        name=info.provider,
        actual=Path(settings.actual) if own else shipped.actual(),
        forecasts=_path(settings.forecasts) if own else shipped.forecasts(),
        zone=settings.zone_in_file,
    )
    restamp = Restamp(
        start_at=start_at,
        begin_at=_instant(settings.begin),
        hour_s=Fraction(Decimal(str(settings.hour_s))),
    )
    lag_s = round(settings.lag_hours * _HOUR_S)
    return ReplayProvider(info=info, records=records, restamp=restamp, lag_s=lag_s, clock=clock)


def _file(zone: str, settings: Any, clock: Clock) -> FileProvider:
    info = settings.series_info(zone)
    records = CsvRecords(
        name=info.provider,
        actual=Path(settings.actual),
        forecasts=_path(settings.forecasts),
        zone=settings.zone_in_file or zone,
    )
    return FileProvider(info=info, records=records, clock=clock)


def _static(zone: str, settings: Any, clock: Clock) -> StaticProvider:
    if settings.country is not None:
        average = country_average(settings.country)
        return StaticProvider(info=average.info(zone), mg_per_kwh=average.mg_per_kwh, clock=clock)
    mg_per_kwh = mg_from_number(Decimal(str(settings.g_per_kwh)))
    if mg_per_kwh is None:
        raise ValueError("g_per_kwh is zero: leave the provider out where nothing is known")
    info = settings.series_info(zone)
    return StaticProvider(info=info, mg_per_kwh=mg_per_kwh, clock=clock)


def _path(value: Any) -> Path | None:
    return None if value is None else Path(value)


def _instant(value: Any) -> int:
    """Epoch seconds of a time in any form that a configuration may hold it in."""
    if isinstance(value, datetime):
        return parse_instant(value.isoformat())
    return int(value) if isinstance(value, int) else parse_instant(str(value))
