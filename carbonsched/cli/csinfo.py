"""``csinfo``: the grid's intensity now and in the hours to come, and the cleanest window."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from carbonsched.cli.common import Daemon, connect, guarded, parser, show, show_json
from carbonsched.errors import RequestError
from carbonsched.reports.documents import OutlookDocument, read_outlook
from carbonsched.reports.fields import as_pipes
from carbonsched.reports.outlook import ASCII, BLOCKS, FIELDS, step_rows, zone_lines
from carbonsched.reports.terminal import Screen

MOST_HOURS = 96
_LENGTH = re.compile(r"(?:(\d{1,2})d)?(?:(\d{1,3})h)?(?:(\d{1,4})m(?:in)?)?")
_EXAMPLES = """  csinfo                  the site's grid zones, two days ahead
  csinfo -l 4h            and when four hours are cleanest
  csinfo -z DE,DK1 -P -n  two zones, for a script"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return guarded("csinfo", lambda: run(_parser().parse_args(argv), connect()))


def _parser() -> argparse.ArgumentParser:
    made = parser("csinfo", "Show the grid's carbon intensity, now and ahead.", _EXAMPLES)
    add_outlook_options(made)
    return made


def add_outlook_options(made: argparse.ArgumentParser) -> None:
    """Which zones, how far ahead, and how it is shown."""
    made.add_argument("-z", "--zones", metavar="ZONE[,ZONE]", help="only these grid zones")
    made.add_argument("-l", "--length", metavar="LENGTH", help="find the cleanest 30m, 4h, 1d12h")
    made.add_argument(
        "-H", "--hours", metavar="N", type=int, default=48, help="hours ahead (%(default)s)"
    )
    made.add_argument("--ascii", action="store_true", help="the chart in plain characters")
    made.add_argument("-P", "--parsable2", action="store_true", help="'|' between fields, no chart")
    made.add_argument("-n", "--noheader", action="store_true", help="-P without the header")
    made.add_argument("--json", action="store_true", help="the daemon's answer as JSON")


def run(options: argparse.Namespace, daemon: Daemon) -> int:
    """Ask the daemon and print."""
    hours, length_s = asked(options)
    answer = daemon.get("/v1/intensity", zone=options.zones, hours=hours, length_s=length_s)
    print_outlook(read_outlook(answer), options)
    return 0


def asked(options: argparse.Namespace) -> tuple[int, int | None]:
    """Hours ahead and the window's seconds.

    Raises:
        RequestError: either is out of range.
    """
    if not 1 <= options.hours <= MOST_HOURS:
        raise RequestError(f"-H is a number of hours from 1 to {MOST_HOURS}")
    length_s = None if options.length is None else parse_length(options.length)
    if length_s is not None and length_s > options.hours * 3600:
        raise RequestError(f"-l {options.length} is longer than the {options.hours} h of -H")
    return options.hours, length_s


def parse_length(text: str) -> int:
    """Seconds of ``30m``, ``4h``, ``1d12h``: more than nothing.

    Raises:
        RequestError: anything else.
    """
    match = _LENGTH.fullmatch(text.strip())
    days, hours, minutes = (int(one or 0) for one in match.groups()) if match else (0, 0, 0)
    seconds = days * 86_400 + hours * 3600 + minutes * 60
    if seconds <= 0:
        raise RequestError(f"{text!r} is not a length; write 30m, 4h or 1d12h")
    return seconds


def print_outlook(document: OutlookDocument, options: argparse.Namespace) -> None:
    """As JSON, for programs, or with a chart for people."""
    now, zones = document["now"], document["zones"]
    if options.json:
        show_json(document)
    elif options.parsable2:
        show(as_pipes(FIELDS, step_rows(zones), now, header=not options.noheader))
    else:
        screen = Screen.of(sys.stdout)
        marks = ASCII if options.ascii or not _draws_blocks() else BLOCKS
        for index, zone in enumerate(zones):
            show([""] if index else [])
            show(zone_lines(zone, now, document["length_s"], screen, marks))


def _draws_blocks() -> bool:
    """Whether standard output can say the characters of the chart."""
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
