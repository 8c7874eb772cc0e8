"""``carbonsched shadow``."""

from __future__ import annotations

import argparse
import sys
import time

from carbonsched.cli.common import Daemon, connect, period, show, show_json
from carbonsched.reports.shadow import shadow_lines, shadow_pipes
from carbonsched.reports.shadow_documents import ShadowDocument, read_shadow
from carbonsched.reports.terminal import Screen

TIMEOUT_S = 300.0
"""A month of a large site is many jobs."""
_EPILOG = """examples:
  carbonsched shadow                            this month
  carbonsched shadow -S 2026-10-01 -E 2026-11-01
  carbonsched shadow -S now-7days -P            for a spreadsheet

Of the jobs that ended in the period and were planned in shadow mode
(planning.mode: shadow). For operators.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Which period, which cluster, how it is shown."""
    parser.epilog = _EPILOG
    parser.add_argument("-S", "--starttime", metavar="TIME", help="default: this month's first day")
    parser.add_argument("-E", "--endtime", metavar="TIME", help="default: now")
    parser.add_argument("-M", "--cluster", metavar="NAME", help="one cluster; default: all")
    parser.add_argument("-P", "--parsable2", action="store_true", help="'|' between fields, mg, s")
    parser.add_argument("--json", action="store_true", help="the daemon's answer as JSON")
    parser.set_defaults(run=lambda options: shadow(options, connect(TIMEOUT_S)))


def shadow(options: argparse.Namespace, daemon: Daemon) -> int:
    """Ask the daemon and print."""
    document = _ask(options, daemon)
    if options.json:
        show_json(document)
    elif options.parsable2:
        show(shadow_pipes(document))
    else:
        show(shadow_lines(document, Screen.of(sys.stdout)))
    return 0


def _ask(options: argparse.Namespace, daemon: Daemon) -> ShadowDocument:
    start_at, end_at = period(options.starttime, options.endtime, int(time.time()))
    answer = daemon.get("/v1/shadow", start=start_at, end=end_at, cluster=options.cluster)
    return read_shadow(answer)
