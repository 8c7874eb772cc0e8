"""``PYTHONPATH=deploy python3 -m lab start|stop|list``: a cluster to play with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import host
from .config import HOOKS, LabConfig
from .failure import LabError
from .lab import Lab


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start a cluster in a new directory")
    start.add_argument("directory", type=Path)
    start.add_argument("--nodes", type=int, default=4)
    start.add_argument("--cluster", default="lab", help="Slurm's ClusterName")
    start.add_argument(
        "--beside", type=Path, help="the directory of another lab, under whose slurmdbd it stands"
    )
    stop = commands.add_parser("stop", help="stop a cluster and remove all of it")
    stop.add_argument("directory", type=Path)
    commands.add_parser("list", help="the directories of the labs on this host")
    options = parser.parse_args()
    try:
        if options.command == "start":
            _start(
                LabConfig(
                    directory=options.directory,
                    cluster=options.cluster,
                    beside=options.beside,
                    nodes=options.nodes,
                    submit_plugin=HOOKS / "job_submit.lua",
                )
            )
        elif options.command == "stop":
            Lab.attach(options.directory).stop()
        else:
            print(*host.directories(), sep="\n")
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


def _start(config: LabConfig) -> None:
    lab = Lab(config)
    lab.start(print)
    print(f"export SLURM_CONF={lab.slurm_conf}")


if __name__ == "__main__":
    sys.exit(main())
