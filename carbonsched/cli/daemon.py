"""``carbonsched daemon``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from carbonsched.cli.options import add_config_option


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the daemon."""
    parser.epilog = (
        "example:\n  carbonsched daemon --config /etc/carbonsched/carbonsched.yaml\n\n"
        "It stops cleanly on SIGTERM and may be killed at any moment: whatever it has answered\n"
        "is on disk, and every deferral is a start time that Slurm itself holds."
    )
    add_config_option(parser)
    parser.add_argument("--verbose", action="store_true", help="log each tick, not only its news")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until asked to stop."""
    from carbonsched.config.loader import load
    from carbonsched.daemon import serve

    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for chatty in ("apscheduler", "uvicorn.access", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    serve(load(Path(arguments.config)))
    return 0
