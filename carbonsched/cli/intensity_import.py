"""``carbonsched intensity import``: values from a file into the archive."""

from __future__ import annotations

import argparse
from pathlib import Path

from carbonsched.cli.common import show, show_json
from carbonsched.cli.intensity_archive import Opened
from carbonsched.errors import RequestError
from carbonsched.intensity.records import CsvRecords
from carbonsched.model.intensity import Forecast, IntensitySeries, SeriesInfo

_MEANING = {
    "signal": ("average", "marginal"),
    "basis": ("production", "consumption"),
    "gas": ("CO2", "CO2eq"),
    "scope": ("direct", "lifecycle"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Which files, under which series."""
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, help="actual values, CSV")
    parser.add_argument("--forecasts", metavar="FILE", type=Path, help="forecasts, CSV")
    parser.add_argument("-z", "--zone", required=True, help="the grid zone that they are of")
    parser.add_argument("--provider", metavar="NAME", required=True, help="whose figures these are")
    for name, values in _MEANING.items():
        parser.add_argument(f"--{name}", choices=values, help="what they mean")
    parser.add_argument("--note", default="", help="words to print beside every figure")
    parser.add_argument("--json", action="store_true", help="what was new, as JSON")


def import_files(options: argparse.Namespace, site: Opened) -> int:
    """Read all of it, then keep all of it, or nothing."""
    if options.file is None and options.forecasts is None:
        raise RequestError("nothing to import; name a FILE, or --forecasts FILE")
    info = series_info(options, site)
    now = site.intensity.clock.now()
    record = CsvRecords(
        name="import", actual=options.file, forecasts=options.forecasts, zone=options.zone
    ).read()
    series = IntensitySeries(info=info, fetched_at=now, points=record.actual)
    with site.intensity.lock.held(), site.ledger.transaction():
        values = site.intensity.keeper.keep(series)
        issues = sum(
            site.ledger.archive.add_forecast(
                Forecast(info=info, issued_at=one.issued_at, points=one.points), now
            )
            for one in record.issues
        )
    if options.json:
        show_json({"series": info.label, "new_values": values, "new_forecasts": issues})
    else:
        told = f"{values} of {len(record.actual)} values new or revised"
        show([f"{info.label}: {told}, {issues} of {len(record.issues)} forecasts new"])
    return 0


def series_info(options: argparse.Namespace, site: Opened) -> SeriesInfo:
    """What the figures mean: as the zone's chain says, or as all of the options do.

    Raises:
        RequestError: neither says it, or they contradict each other.
    """
    zones = site.intensity.grid.zones
    if options.zone not in zones:
        raise RequestError(f"no grid zone {options.zone!r}; this site has {', '.join(zones)}")
    given = {
        "kind": options.signal, "basis": options.basis, "gas": options.gas, "scope": options.scope,
    }  # fmt: skip
    chain = (*zones[options.zone].chain, *zones[options.zone].ranking)
    for info in chain:
        if info.provider == options.provider:
            for name, value in given.items():
                if value not in {None, getattr(info, name)}:
                    raise RequestError(
                        f"{info.provider}'s figures are {getattr(info, name)} in this site's"
                        f" configuration, not {value}; import them under another name"
                    )
            return info
    if missing := [name for name in _MEANING if getattr(options, name) is None]:
        words = ", ".join(f"--{name}" for name in missing)
        raise RequestError(
            f"{options.provider} is not in the chain of {options.zone}; say what its figures mean:"
            f" {words}"
        )
    return SeriesInfo(
        provider=options.provider, zone=options.zone, kind=options.signal, basis=options.basis,
        gas=options.gas, scope=options.scope, note=options.note,
    )  # fmt: skip
