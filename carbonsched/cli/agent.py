"""``carbonsched agent``: meter this node."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from carbonsched.errors import CarbonschedError
from carbonsched.node.agent import Agent
from carbonsched.node.delivery import Poster
from carbonsched.node.journal import Journal
from carbonsched.node.wiring import Roots
from carbonsched.site import Site, load_site
from carbonsched.transport.client import Client
from carbonsched.transport.munge import Munge


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = (
        "example:\n  carbonsched agent --site /etc/carbonsched/site.json\n\n"
        "It runs as root on each compute node, stops cleanly on SIGTERM, and keeps what it has\n"
        "metered in its spool until the daemon has it."
    )
    here = os.environ.get("SLURMD_NODENAME") or socket.gethostname().split(".", 1)[0]
    parser.add_argument("--node", default=here, help="this node's name in Slurm (%(default)s)")
    parser.add_argument(
        "--site", type=Path, help="site file (CARBONSCHED_SITE or /etc/carbonsched/site.json)"
    )
    for name, default, text in (
        ("sysfs", Path("/sys"), "where sysfs is mounted (%(default)s)"),
        ("procfs", Path("/proc"), "where procfs is mounted (%(default)s)"),
        ("cgroupfs", None, "where control groups are mounted (SYSFS/fs/cgroup)"),
    ):
        parser.add_argument(
            f"--path.{name}",
            dest=f"path_{name}",
            type=Path,
            default=default,
            metavar="PATH",
            help=text,
        )
    metrics = parser.add_mutually_exclusive_group()
    metrics.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        help="where Prometheus may scrape /metrics (the site file's agent.metrics)",
    )
    metrics.add_argument(
        "--no-metrics", action="store_true", help="nowhere, whatever the site file says"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Meter until told to stop.

    Raises:
        CarbonschedError: it cannot: no site file, no meter, another agent on the same spool.
    """
    site = load_site(options.site)
    if options.metrics or options.no_metrics:
        site = replace(site, agent=replace(site.agent, metrics=options.metrics))
    roots = Roots(
        sysfs=options.path_sysfs,
        procfs=options.path_procfs,
        cgroupfs=options.path_cgroupfs or options.path_sysfs / "fs/cgroup",
    )
    journal = Journal(f"carbonsched agent {options.node}")
    # An epoch mark wakes the agent: the training that sent it keeps its CPU all the same.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    Agent(options.node, site, roots, lambda: _connect(site), journal).run()
    return 0


def main(argv: list[str]) -> int:
    """Run as a command of its own, without the other commands' imports."""
    parser = argparse.ArgumentParser(
        prog="carbonsched agent",
        description="Meter this node, divide its energy between jobs, and tell the daemon.",
        allow_abbrev=False,
    )
    configure(parser)
    try:
        return run(parser.parse_args(argv))
    except CarbonschedError as error:
        print(f"carbonsched agent: {error}", file=sys.stderr)
        return error.exit_status


def _connect(site: Site) -> Poster:
    return Client(site.daemon_url, Munge(site.munge_socket))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
