"""``carbonsched predict``."""

from __future__ import annotations

import argparse

from carbonsched.cli.predict_log import add_log_options, run_log
from carbonsched.errors import RequestError

_EPILOG = """examples:
  carbonsched predict --epoch-log run.csv --after 1 --epochs 50
  carbonsched predict --epoch-log run.csv --after 5 --epochs 50 --json \\
      --validate-every 5 --history earlier.csv
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Which log, how much of it is seen, how it is shown."""
    parser.epilog = _EPILOG
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    add_log_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.epoch_log is None:
        raise RequestError("name a log, as in --epoch-log run.csv --after 1 --epochs 50")
    return run_log(options)
