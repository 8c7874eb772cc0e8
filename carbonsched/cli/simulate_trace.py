"""The options of ``carbonsched simulate`` that make a scenario of a trace."""

from __future__ import annotations

import argparse
from datetime import UTC, date, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from carbonsched.cli.common import note
from carbonsched.errors import RequestError

if TYPE_CHECKING:
    from carbonsched.sim.scenario import Scenario

_REQUIRED = ("nodes", "zone", "intensity")


def add_trace_options(parser: argparse.ArgumentParser) -> None:
    """What a trace is, and what it does not say."""
    group = parser.add_argument_group("in place of a scenario")
    group.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="jobs: .swf, .swf.gz, an export of sacct -P, or a table in CSV or Parquet",
    )
    group.add_argument("--nodes", type=_count, metavar="N", help="nodes of the cluster")
    group.add_argument(
        "--cpus-per-node",
        type=_count,
        default=1,
        metavar="N",
        help="where the trace tells processors only (1)",
    )
    group.add_argument("--zone", metavar="Z", help="grid zone in the files of intensity")
    group.add_argument("--basis", metavar="B", help="its basis, where they have several")
    group.add_argument(
        "--intensity", type=Path, metavar="FILE", help="what occurred, CSV or Parquet"
    )
    group.add_argument(
        "--forecasts", type=Path, metavar="FILE", help="what had been forecast, with its issue"
    )
    group.add_argument(
        "--start", type=_date, metavar="DATE", help="move the trace's first day to this one"
    )
    group.add_argument("--days", type=_count, metavar="N", help="only the trace's first days")
    group.add_argument(
        "--max-delay",
        type=_hours,
        default=24,
        metavar="H",
        help="delay that jobs allow, hours (24)",
    )
    group.add_argument(
        "--power", type=_count, default=300, metavar="W", help="each busy node above idle (300)"
    )
    group.add_argument(
        "--time-zone",
        type=_time_zone,
        default=UTC,
        metavar="NAME",
        help="of the trace's times and days, such as Europe/Berlin (UTC)",
    )


def from_trace(arguments: argparse.Namespace) -> Scenario:
    """The scenario; what was assumed goes to stderr.

    Raises:
        RequestError: an option is missing, or a file is wrong; one line.
    """
    from carbonsched.sim.trace import read_trace
    from carbonsched.sim.trace_scenario import TraceOptions, build, read_grid

    missing = [f"--{name}" for name in _REQUIRED if getattr(arguments, name) is None]
    if missing:
        raise RequestError(f"--trace needs {', '.join(missing)} as well")
    options = TraceOptions(
        nodes=arguments.nodes,
        zone=arguments.zone,
        basis=arguments.basis,
        start=arguments.start,
        days=arguments.days,
        max_delay_s=round(3600 * arguments.max_delay),
        power_w=arguments.power,
        cpus_per_node=arguments.cpus_per_node,
        time_zone=arguments.time_zone,
    )
    trace = read_trace(arguments.trace, arguments.time_zone)
    grid = read_grid(arguments.intensity, arguments.forecasts, options)
    scenario, notes = build(arguments.trace.name.partition(".")[0], trace, grid, options)
    for line in notes:
        note(line)
    return scenario


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _hours(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 8784:
        raise argparse.ArgumentTypeError("must be from 0 to 8784 hours, a year")
    return value


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a date such as 2021-09-13") from None


def _time_zone(text: str) -> tzinfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError("must be a name such as Europe/Berlin") from None
