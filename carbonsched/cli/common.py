"""What the users' commands share: asking the daemon, and errors as one line."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

from carbonsched import __version__
from carbonsched.errors import CarbonschedError, RequestError
from carbonsched.reports.moments import local, parse_time
from carbonsched.reports.terminal import clean

INTERRUPTED = 130
BROKEN_PIPE = 141


class Daemon(Protocol):
    """What a command needs of :class:`carbonsched.transport.client.Client`."""

    def get(self, path: str, **query: str | int | None) -> Any:
        """The JSON that ``GET path?query`` answers."""
        ...

    def post(self, path: str, document: Any) -> Any:
        """The JSON that ``POST path`` answers."""
        ...


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the options as every other error is said: in one line."""

    def error(self, message: str) -> NoReturn:
        """Refuse the options."""
        raise RequestError(f"{message}; '{self.prog} --help' shows the options")


def parser(name: str, description: str, examples: str) -> Parser:
    """A command's parser, with examples at the end of its help."""
    made = Parser(
        prog=name,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"{name} {__version__}")
    return made


def add_table_options(made: argparse.ArgumentParser) -> None:
    """How a table is shown: Slurm's own options for it."""
    made.add_argument("-o", "--format", metavar="FIELDS", help="these fields; 'help' lists them")
    made.add_argument("-e", "--helpformat", action="store_true", help="list the fields")
    made.add_argument("-P", "--parsable2", action="store_true", help="'|' between fields, mg and J")
    made.add_argument("-n", "--noheader", action="store_true", help="without the header")
    made.add_argument("--json", action="store_true", help="the daemon's answer as JSON")


def connect(timeout_s: float = 10.0) -> Daemon:
    """The site's daemon, asked as this process's user; each answer may take ``timeout_s``.

    Raises:
        ConfigError: no site file.
        ExternalError: no MUNGE.
    """
    from carbonsched.site import load_site
    from carbonsched.transport.client import Client
    from carbonsched.transport.munge import Munge

    site = load_site()
    return Client(site.daemon_url, Munge(site.munge_socket), timeout_s)


def guarded(name: str, work: Callable[[], int]) -> int:
    """Run a command; an error becomes one line on stderr and its class's exit status."""
    _never_fail_to_encode()
    try:
        status = work()
        sys.stdout.flush()
    except CarbonschedError as error:
        for line in str(error).splitlines() or [type(error).__name__]:
            print(f"{name}: {clean(line)}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:  # argparse after --help or --version
        return leaving.code if isinstance(leaving.code, int) else 0
    return status


def show(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        print(line)


def show_json(document: Any) -> None:
    """Print a document for programs; escapes keep it safe on a terminal as well."""
    print(json.dumps(document, indent=2))


def period(start: str | None, end: str | None, now: int) -> tuple[int, int]:
    """What ``-S`` and ``-E`` say; this month so far where they say nothing.

    Raises:
        RequestError: one is no time, or they are the wrong way round.
    """
    first = local(now).replace(day=1, tzinfo=None).strftime("%Y-%m-%d")
    start_at = parse_time(start or first, now)
    end_at = parse_time(end or "now", now)
    if end_at <= start_at:
        raise RequestError("the end time lies before the start time; check -S and -E")
    return start_at, end_at


def note(text: str) -> None:
    """Tell a person something beside the output."""
    print(text, file=sys.stderr)


def _never_fail_to_encode() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
