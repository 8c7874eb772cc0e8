"""``carbonsched predict``."""

from __future__ import annotations

import argparse

from carbonsched.cli.common import connect
from carbonsched.cli.predict_job import run_job
from carbonsched.errors import RequestError

_EPILOG = """examples:
  carbonsched predict 1204          when it ends, kWh, grams, share of the quota
  carbonsched predict 1204 --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Which job, whose, how it is shown."""
    parser.epilog = _EPILOG
    parser.add_argument("job", metavar="JOB", nargs="?", help="a job in the queue: 1204, 1204_3")
    parser.add_argument("-u", "--user", help="another user's job (operators)")
    parser.add_argument("-a", "--all", action="store_true", help="anybody's job (operators)")
    parser.add_argument("-M", "--clusters", metavar="NAME[,NAME]", help="only on these clusters")
    parser.add_argument("--json", action="store_true", help="the daemon's answer as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.job is None:
        raise RequestError("name a job, as in 'carbonsched predict 1204'")
    return run_job(arguments, connect())
