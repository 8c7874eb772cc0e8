"""Options that several subcommands share."""

from __future__ import annotations

import argparse
import os

CONFIG_VARIABLE = "CARBONSCHED_CONFIG"
CONFIG_PATH = "/etc/carbonsched/carbonsched.yaml"


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """``--config FILE``, else the environment's, else the usual place."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=os.environ.get(CONFIG_VARIABLE) or CONFIG_PATH,
        help=f"the site's configuration (default ${CONFIG_VARIABLE} or {CONFIG_PATH})",
    )
