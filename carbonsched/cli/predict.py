"""``carbonsched predict``: of a job in the queue, or of a recorded log."""

from __future__ import annotations

import argparse

from carbonsched.cli.common import connect
from carbonsched.cli.predict_log import add_log_options, run_log
from carbonsched.errors import RequestError

_EPILOG = """examples:
  carbonsched predict 1204          when it ends, kWh, grams, share of the quota
  carbonsched predict 1204 --json
  carbonsched predict --epoch-log run.csv --after 1 --epochs 50
  carbonsched predict --epoch-log run.csv --after 5 --epochs 50 --json \\
      --validate-every 5 --history earlier.csv
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Which job and whose, or which log; how it is shown."""
    parser.epilog = _EPILOG
    parser.add_argument("job", metavar="JOB", nargs="?", help="a job in the queue: 1204, 1204_3")
    parser.add_argument("-u", "--user", help="another user's job (operators)")
    parser.add_argument("-a", "--all", action="store_true", help="anybody's job (operators)")
    parser.add_argument("-M", "--clusters", metavar="NAME[,NAME]", help="only on these clusters")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    add_log_options(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if (arguments.job is None) == (arguments.epoch_log is None):
        raise RequestError(
            "name a job, as in 'carbonsched predict 1204', or a log with --epoch-log FILE"
        )
    if arguments.epoch_log is not None:
        return run_log(arguments)
    # A log is read without what shows the queue, which takes longer to load than all of this.
    from carbonsched.cli.predict_job import run_job

    return run_job(arguments, connect())
