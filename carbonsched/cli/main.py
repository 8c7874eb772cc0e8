"""``carbonsched``, the administrator's command: subcommands are imported when asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from carbonsched import __version__
from carbonsched.cli.common import Parser, guarded
from carbonsched.errors import RequestError

_COMMANDS = {
    "config": "check, exemplify, compile or document the site's configuration",
    "daemon": "run the daemon: API and ticks",
    "tick": "run one of the daemon's ticks once, now",
    "agent": "run a node's agent: meter, attribute, deliver",
    "track": "run a training unchanged and mark the epochs that its output tells",
    "epochs": "what each epoch of a job took, as a log",
    "quota": "show budgets, grant more",
    "intensity": "the grid: now and ahead, history, fetch, import, export, evaluate",
    "audit": "does a period add up: measured = jobs + idle + system + unclaimed",
    "predict": "what a job or training will need: its end, energy, CO2",
    "shadow": "what the plans of the shadow mode would have saved",
    "simulate": "replay a trace of jobs against recorded intensities and forecasts",
}
_EXAMPLE = """examples:
  carbonsched config example > carbonsched.yaml
  carbonsched config check carbonsched.yaml
  carbonsched simulate example --policy carbon
  carbonsched COMMAND --help

Users' own commands: csbatch, csqueue, csacct, csreport, csinfo.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    if name in _COMMANDS:
        return guarded(f"carbonsched {name}", lambda: _run(name, arguments[1:]))
    return guarded("carbonsched", lambda: _general(arguments))


def _run(name: str, arguments: list[str]) -> int:
    module = import_module(f"carbonsched.cli.{name}")
    parser = Parser(
        prog=f"carbonsched {name}",
        description=_COMMANDS[name].capitalize() + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    parsed = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    return run(parsed)


def _general(arguments: list[str]) -> int:
    lines = "\n".join(f"  {name:10} {text}" for name, text in _COMMANDS.items())
    parser = Parser(
        prog="carbonsched",
        description="Carbon-aware scheduling and metering for clusters under Slurm.",
        epilog=f"commands:\n{lines}\n\n{_EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"carbonsched {__version__}")
    parser.add_argument("command", metavar="COMMAND", nargs="?")
    if not arguments:
        parser.print_help()
        return 0
    parsed = parser.parse_args(arguments)
    raise RequestError(f"unknown command {parsed.command!r}; see 'carbonsched --help'")


if __name__ == "__main__":
    raise SystemExit(main())
