"""``carbonsched intensity``: what is known of the grid, and how good its forecasts are."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from carbonsched.cli import intensity_archive, intensity_evaluate, intensity_import
from carbonsched.cli.csinfo import add_outlook_options
from carbonsched.cli.options import add_config_option

_EXAMPLES = """examples:
  carbonsched intensity show -l 4h
  carbonsched intensity history -S now-2days -z DE
  carbonsched intensity fetch
  carbonsched intensity export -S 2026-10-01 -E 2026-11-01 --as-of 2026-11-05 > october.csv
  carbonsched intensity import october.csv -z DE --provider tso
  carbonsched intensity ACTION --help

All but evaluate read the site's ledger, as the daemon's user.
"""
_SHOW = """examples:
  carbonsched intensity show
  carbonsched intensity show -z DE -l 4h
  carbonsched intensity show -P -n
"""
_HISTORY = """examples:
  carbonsched intensity history -S today
  carbonsched intensity history -S 2026-11-01 -E 2026-11-02 -z DE --revised
  carbonsched intensity history -o Start,Intensity,Series -P

REV counts the words of one source on one period; 'old' marks those that a later word replaced.
"""
_FETCH = """examples:
  carbonsched intensity fetch
  carbonsched intensity fetch -P

Asks as the daemon's own tick does, and takes the same lock to write. A provider that the daemon
leaves alone after a failure is asked again. Beside a running daemon this doubles the requests to
services that count them by address. Exit status 0: all answered; 1: one failed.
"""
_EXPORT = """examples:
  carbonsched intensity export -S 2026-10-01 -E 2026-11-01 > october.csv
  carbonsched intensity export -S 2026-10-01 --as-of 2026-10-15 --provider neso
  carbonsched intensity export --forecasts -S yesterday-is-a-date --json

Times in the files are UTC. What comes out can be imported and read by a file provider.
""".replace("yesterday-is-a-date", "now-1day")
_IMPORT = """examples:
  carbonsched intensity import settled.csv -z DK1 --provider eds
  carbonsched intensity import de.csv -z DE --provider tso --signal average
      --basis production --gas CO2eq --scope lifecycle
  carbonsched intensity import --forecasts issued.csv -z DE --provider tso

Files as the file provider's: start,g_per_kwh and perhaps end, zone, estimated; forecasts also
issued. What the figures mean is taken from the zone's configuration where the provider is one of
its chain; else say it. Values that differ from the archive's are revisions: jobs that they touch
are settled again, where the provider is one of the chain.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """One subcommand for each thing to do."""
    parser.epilog = _EXAMPLES
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(name: str, text: str, examples: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=text, epilog=examples, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    show = add("show", "the grid now and ahead, as csinfo shows it", _SHOW)
    add_outlook_options(show)
    _of_ledger(show, intensity_archive.show_outlook)
    history = add("history", "actual values with every revision", _HISTORY)
    intensity_archive.configure_history(history)
    _of_ledger(history, intensity_archive.history)
    fetch = add("fetch", "fetch now and say what each provider answered", _FETCH)
    fetch.add_argument("-P", "--parsable2", action="store_true", help="'|' between fields")
    fetch.add_argument("--json", action="store_true", help="the same as JSON")
    _of_ledger(fetch, intensity_archive.fetch)
    importing = add("import", "take values from a file into the archive", _IMPORT)
    intensity_import.configure(importing)
    _of_ledger(importing, intensity_import.import_files)
    export = add("export", "actual values as of a time, or forecasts as issued", _EXPORT)
    intensity_archive.configure_export(export)
    _of_ledger(export, intensity_archive.export)
    intensity_evaluate.configure(add("evaluate", "how good recorded forecasts were, beside ours"))


def _of_ledger(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace, intensity_archive.Opened], int],
) -> None:
    """Run with the site's ledger open."""
    add_config_option(parser)
    parser.set_defaults(run=lambda options: intensity_archive.opened(options, work))
