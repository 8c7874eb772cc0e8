"""``carbonsched predict``: of a job in the queue, or of a recorded log."""

from __future__ import annotations

import argparse

from carbonsched.cli.common import connect
from carbonsched.cli.predict_log import add_log_options, run_log
from carbonsched.errors import RequestError

_EPILOG = """examples:
  carbonsched predict 1204          when it ends, kWh, grams, share of the quota
  carbonsched predict 1204 --json
  carbonsched predict 1204 --gpu-power-limit 200    what is left of it at 200 W
  carbonsched predict 1204 --node-type gpu03        and on nodes like gpu03
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
    parser.add_argument(
        "--gpu-power-limit", metavar="WATTS", type=_watts, help="also with its GPUs limited to that"
    )
    parser.add_argument(
        "--node-type", metavar="NODES", help="also on nodes like these: a node, list or partition"
    )
    add_log_options(parser)
    parser.set_defaults(run=_run)


def _watts(text: str) -> int:
    """Whole watts.

    Raises:
        argparse.ArgumentTypeError: it is no such number.
    """
    watts = int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else 0
    if not watts:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of whole watts")
    return watts


def _run(arguments: argparse.Namespace) -> int:
    if (arguments.job is None) == (arguments.epoch_log is None):
        raise RequestError(
            "name a job, as in 'carbonsched predict 1204', or a log with --epoch-log FILE"
        )
    if arguments.epoch_log is not None:
        if arguments.gpu_power_limit is not None or arguments.node_type is not None:
            raise RequestError("--gpu-power-limit and --node-type are of a job in the queue")
        return run_log(arguments)
    # A log is read without what shows the queue, which takes longer to load than all of this.
    from carbonsched.cli.predict_job import run_job

    return run_job(arguments, connect())
