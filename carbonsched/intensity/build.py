"""A zone's chain of providers from its part of the configuration.

The configuration lies beside this package, so its objects are taken by their attributes;
``series_info(zone)`` is what the site declared its figures to mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from carbonsched.errors import ConfigError
from carbonsched.intensity import shipped
from carbonsched.intensity.chain import BackOff, Chain
from carbonsched.intensity.files import FileProvider
from carbonsched.intensity.neso import BASE_URL, NesoProvider
from carbonsched.intensity.records import CsvRecords
from carbonsched.intensity.replay import ReplayProvider, Restamp, replay_note
from carbonsched.intensity.static import StaticProvider
from carbonsched.intensity.values import mg_from_number, parse_instant
from carbonsched.model.intensity import SeriesInfo
from carbonsched.ports import Clock, IntensityProvider

_HOUR_S = 3600


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


def build_chain(zone: ZoneSettings, clock: Clock, *, back_off: BackOff | None = None) -> Chain:
    """The zone's chain. Nothing is read or asked yet.

    Raises:
        ConfigError: a setting that no provider can work with.
    """
    providers = []
    for index, settings in enumerate(zone.providers):
        try:
            providers.append(build_provider(zone.name, settings, clock))
        except ValueError as error:
            where = f"zones, {zone.name}, provider {index + 1} ({settings.kind})"
            raise ConfigError([f"{where}: {error}"]) from None
    return Chain(zone.name, providers, clock, back_off=back_off)


def build_provider(zone: str, settings: Any, clock: Clock) -> IntensityProvider:
    """One provider; ``ValueError`` where its settings cannot work."""
    match settings.kind:
        case "replay":
            return _replay(zone, settings, clock)
        case "file":
            return _file(zone, settings, clock)
        case "neso":
            return NesoProvider(
                zone=zone,
                clock=clock,
                base_url=settings.base_url or BASE_URL,
                timeout_s=float(settings.timeout_s),
            )
        case "static":
            return _static(zone, settings, clock)
        case other:
            raise ValueError(f"there is no provider {other!r}: replay, file, neso or static")


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
