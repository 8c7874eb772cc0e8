"""``carbonsched audit``."""

from __future__ import annotations

import argparse
import sys
import time

from carbonsched.cli.common import Daemon, connect, period, show, show_json
from carbonsched.errors import RequestError
from carbonsched.reports.audit import audit_lines, audit_pipes
from carbonsched.reports.audit_documents import AuditDocument, read_audit
from carbonsched.reports.terminal import Screen

TIMEOUT_S = 300.0
"""A month of a large site is millions of readings."""
_DOES_NOT_ADD_UP = 1
_EPILOG = """examples:
  carbonsched audit                           this month
  carbonsched audit -S 2026-10-01 -E 2026-11-01
  carbonsched audit -S today --json

Exit status 0: it adds up, in whole joules, from meters to charges; 1: it does not.
Jobs whose energy is missing or partial are listed with the reason; they do not
make it 1. For operators.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Which period, which cluster, how it is shown."""
    parser.epilog = _EPILOG
    parser.add_argument("-S", "--starttime", metavar="TIME", help="default: this month's first day")
    parser.add_argument("-E", "--endtime", metavar="TIME", help="default: now")
    parser.add_argument("-M", "--cluster", metavar="NAME", help="one cluster; default: each")
    parser.add_argument(
        "-n", "--limit", metavar="N", type=int, default=20, help="list at most N jobs (%(default)s)"
    )
    parser.add_argument("-P", "--parsable2", action="store_true", help="'|' between fields, J")
    parser.add_argument("--json", action="store_true", help="the daemon's answer as JSON")
    parser.set_defaults(run=lambda options: audit(options, connect(TIMEOUT_S)))


def audit(options: argparse.Namespace, daemon: Daemon) -> int:
    """Ask the daemon, print, and say by the exit status whether it adds up."""
    if options.limit < 0:
        raise RequestError("-n is the number of jobs to list; write 0 or more")
    document = _ask(options, daemon)
    if options.json:
        show_json(document)
    elif options.parsable2:
        show(audit_pipes(document["clusters"], options.limit))
    else:
        _show(document, options.limit)
    adds_up = all(one["adds_up"] for one in document["clusters"])
    return 0 if adds_up else _DOES_NOT_ADD_UP


def _ask(options: argparse.Namespace, daemon: Daemon) -> AuditDocument:
    start_at, end_at = period(options.starttime, options.endtime, int(time.time()))
    answer = daemon.get("/v1/audit", start=start_at, end=end_at, cluster=options.cluster)
    return read_audit(answer)


def _show(document: AuditDocument, most: int) -> None:
    screen = Screen.of(sys.stdout)
    for index, one in enumerate(document["clusters"]):
        if index:
            show([""])
        show(audit_lines(one, document["start_at"], document["end_at"], most, screen))
