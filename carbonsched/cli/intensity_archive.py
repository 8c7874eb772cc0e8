"""``carbonsched intensity show|history|fetch|export``: reading the site's archive."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from carbonsched.cli.common import note, show, show_json
from carbonsched.cli.csinfo import asked, print_outlook
from carbonsched.errors import RequestError
from carbonsched.ledger.archive import Archive, Told
from carbonsched.ledger.ledger import Ledger
from carbonsched.model.intensity import Forecast, IntensitySeries, SeriesInfo
from carbonsched.reports.archive import (
    ACTUAL_COLUMNS,
    FORECAST_COLUMNS,
    HISTORY,
    HISTORY_DEFAULT,
    HistoryRow,
    actual_texts,
    forecast_texts,
)
from carbonsched.reports.documents import read_outlook
from carbonsched.reports.fields import Field, as_pipes, as_table, choose, field_help
from carbonsched.reports.moments import parse_time
from carbonsched.reports.terminal import Screen
from carbonsched.services.fetch import Fetched
from carbonsched.services.outlook import IntensityTools

_FAILED = 1
_FETCHED: tuple[Field[Fetched], ...] = (
    Field(name="Zone", title="ZONE", raw_name="Zone", floor=4,
          shown=lambda one, _: one.zone, raw=lambda one, _: one.zone),
    Field(name="Provider", title="PROVIDER", raw_name="Provider", floor=8,
          shown=lambda one, _: one.provider, raw=lambda one, _: one.provider),
    Field(name="What", title="WHAT", raw_name="What",
          shown=lambda one, _: one.what, raw=lambda one, _: one.what),
    Field(name="Status", title="STATUS", raw_name="Status",
          shown=lambda one, _: one.status, raw=lambda one, _: one.status,
          tint=lambda one: {"ok": "green", "failed": "red"}.get(one.status, "")),
    Field(name="Values", title="VALUES", raw_name="Values", right=True,
          shown=lambda one, _: str(one.values), raw=lambda one, _: one.values),
    Field(name="New", title="NEW", raw_name="New", right=True,
          shown=lambda one, _: str(one.new), raw=lambda one, _: one.new),
    Field(name="Why", title="WHY", raw_name="Why", floor=10,
          shown=lambda one, _: one.why, raw=lambda one, _: one.why),
)  # fmt: skip


class Opened(Protocol):
    """What these commands need of :class:`carbonsched.bootstrap.Application`."""

    @property
    def ledger(self) -> Ledger:
        """The site's ledger."""
        ...

    @property
    def intensity(self) -> IntensityTools:
        """Grid, outlook, fetch."""
        ...


def opened(options: argparse.Namespace, work: Callable[[argparse.Namespace, Opened], int]) -> int:
    """Run some work with the configured site's ledger open."""
    from carbonsched.bootstrap import build
    from carbonsched.config.loader import load

    application = build(load(Path(options.config)))
    try:
        return work(options, application)
    finally:
        application.close()


def show_outlook(options: argparse.Namespace, site: Opened) -> int:
    """The same as ``csinfo``, without the daemon."""
    hours, length_s = asked(options)
    document = site.intensity.outlook.document(words(options.zones), hours, length_s)
    print_outlook(read_outlook(document), options)
    return 0


def configure_history(parser: argparse.ArgumentParser) -> None:
    """Which period, zones and sources, and how it is shown."""
    _add_choice(parser, "default: a day before the end")
    parser.add_argument("--revised", action="store_true", help="only periods told of twice or more")
    parser.add_argument("-o", "--format", metavar="FIELDS", default=HISTORY_DEFAULT,
                        help="these fields; 'help' lists them")  # fmt: skip
    parser.add_argument("-P", "--parsable2", action="store_true", help="'|' between fields")
    parser.add_argument("-n", "--noheader", action="store_true", help="without the header")
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def history(options: argparse.Namespace, site: Opened) -> int:
    """Print every word on a period."""
    if options.format == "help":
        print(field_help(HISTORY))
        return 0
    fields = choose(HISTORY, options.format)
    now = site.intensity.clock.now()
    start_at, end_at = _period(options, now)
    rows: list[HistoryRow] = []
    for zone in _zones(options.zones, site):
        told = site.ledger.archive.revisions(zone, start_at, end_at)
        rows += _history_rows(_of_provider(told, options.provider), revised=options.revised)
    if options.json:
        show_json({"now": now, "start_at": start_at, "end_at": end_at, "values": rows})
    elif options.parsable2:
        show(as_pipes(fields, rows, now, header=not options.noheader))
    elif rows:
        screen = Screen.of(sys.stdout)
        show(as_table(fields, rows, now, screen, header=not options.noheader))
    else:
        note("Nothing is known of that time.")
    return 0


def fetch(options: argparse.Namespace, site: Opened) -> int:
    """Fetch, print what came of it, and say by the exit status whether all answered."""
    fetched = site.intensity.fetch.each()
    now = site.intensity.clock.now()
    if options.json:
        show_json({"now": now, "fetched": [asdict(one) for one in fetched]})
    elif options.parsable2:
        show(as_pipes(_FETCHED, fetched, now, header=True))
    else:
        fields = choose(_FETCHED, "Zone,Provider,What,Status,Values,New")
        show(as_table(fields, fetched, now, Screen.of(sys.stdout), header=True))
        for one in fetched:
            if one.status == "failed" or (one.what == "actual" and one.status == "ok" and one.why):
                note(f"zone {one.zone}: {one.why}")
    return _FAILED if any(one.status == "failed" for one in fetched) else 0


def configure_export(parser: argparse.ArgumentParser) -> None:
    """Which period, zones and sources, and in which form."""
    _add_choice(parser, "of values, or of issue; default: a day before the end")
    parser.add_argument("--forecasts", action="store_true", help="forecasts as issued")
    parser.add_argument("--as-of", metavar="TIME", help="only what was known here by then")
    parser.add_argument("--json", action="store_true", help="JSON instead of CSV")


def export(options: argparse.Namespace, site: Opened) -> int:
    """Print CSV or JSON."""
    now = site.intensity.clock.now()
    start_at, end_at = _period(options, now)
    known_at = now if options.as_of is None else parse_time(options.as_of, now)
    zones = _zones(options.zones, site)
    archive = site.ledger.archive
    if options.forecasts:
        issued = _issues(archive, zones, options.provider, start_at, end_at, known_at)
        _write(FORECAST_COLUMNS, forecast_texts(issued), as_json=options.json)
    else:
        series = _actuals(archive, zones, options.provider, start_at, end_at, known_at)
        _write(ACTUAL_COLUMNS, actual_texts(series), as_json=options.json)
    return 0


def words(text: str | None) -> tuple[str, ...]:
    """The names in a list with commas."""
    return tuple(one for one in (text or "").split(",") if one)


def _add_choice(parser: argparse.ArgumentParser, start: str) -> None:
    parser.add_argument("-z", "--zones", metavar="ZONE[,ZONE]", help="default: all of the site")
    parser.add_argument("--provider", metavar="NAME", help="only this source")
    parser.add_argument("-S", "--starttime", metavar="TIME", help=start)
    parser.add_argument("-E", "--endtime", metavar="TIME", default="now", help="default: now")


def _period(options: argparse.Namespace, now: int) -> tuple[int, int]:
    end_at = parse_time(options.endtime, now)
    start_at = end_at - 86_400 if options.starttime is None else parse_time(options.starttime, now)
    if end_at <= start_at:
        raise RequestError("the end time lies before the start time; check -S and -E")
    return start_at, end_at


def _zones(text: str | None, site: Opened) -> Sequence[str]:
    known = tuple(site.intensity.grid.zones)
    asked_for = words(text)
    for zone in asked_for:
        if zone not in known:
            raise RequestError(f"no grid zone {zone!r}; this site has {', '.join(known)}")
    return asked_for or known


def _of_provider(told: Iterable[Told], provider: str | None) -> list[Told]:
    return [one for one in told if provider in {None, one.info.provider}]


def _history_rows(told: Sequence[Told], *, revised: bool) -> list[HistoryRow]:
    words_on = Counter((one.info, one.point.start_at) for one in told)
    seen: Counter[tuple[SeriesInfo, int]] = Counter()
    rows: list[HistoryRow] = []
    for one in told:
        period = (one.info, one.point.start_at)
        seen[period] += 1
        if revised and words_on[period] == 1:
            continue
        rows.append(
            {
                "zone": one.info.zone, "provider": one.info.provider, "series": one.info.label,
                "start_at": one.point.start_at, "end_at": one.point.end_at,
                "g_per_kwh": one.point.mg_per_kwh / 1000, "estimated": one.point.estimated,
                "fetched_at": one.fetched_at, "revision": seen[period],
                "latest": seen[period] == words_on[period],
            }
        )  # fmt: skip
    return rows


def _actuals(
    archive: Archive, zones: Sequence[str], provider: str | None,
    start_at: int, end_at: int, known_at: int,
) -> Iterator[IntensitySeries]:  # fmt: skip
    for zone in zones:
        for series in archive.actuals(zone, start_at, end_at, known_at):
            if provider in {None, series.info.provider}:
                yield series


def _issues(
    archive: Archive, zones: Sequence[str], provider: str | None,
    start_at: int, end_at: int, known_at: int,
) -> Iterator[tuple[Forecast, int]]:  # fmt: skip
    for zone in zones:
        for info in dict.fromkeys(replace(one, note="") for one in archive.series(zone)):
            if provider not in {None, info.provider}:
                continue
            for issue in archive.issues.between(info, start_at, end_at):
                if issue.fetched_at <= known_at:
                    yield issue.forecast, issue.fetched_at


def _write(columns: tuple[str, ...], rows: Iterable[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        show_json({"values": list(rows)})
        return
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
