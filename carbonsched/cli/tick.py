"""``carbonsched tick``."""

from __future__ import annotations

import argparse
from pathlib import Path

from carbonsched.cli.options import add_config_option

_TICKS = ("intensity", "pue", "adopt", "plan", "settle", "quota", "housekeeping")


def configure(parser: argparse.ArgumentParser) -> None:
    """Which tick."""
    parser.epilog = (
        "example:\n  carbonsched tick plan\n\n"
        "A tick run by hand takes the same lock as the daemon's own."
    )
    parser.add_argument("name", choices=_TICKS, help="the tick to run")
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the tick and say what it did."""
    from carbonsched.bootstrap import build
    from carbonsched.config.loader import load

    application = build(load(Path(arguments.config)))
    try:
        print(f"{arguments.name}: {application.ticks.run_now(arguments.name)}")
    finally:
        application.close()
    return 0
