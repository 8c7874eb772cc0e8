"""``carbonsched config``: check, exemplify, compile and document the configuration."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from carbonsched.errors import CarbonschedError, ConfigError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's actions."""
    parser.epilog = (
        "examples:\n"
        "  carbonsched config example > carbonsched.yaml\n"
        "  carbonsched config check carbonsched.yaml\n"
        "  carbonsched config compile carbonsched.yaml -o /etc/carbonsched/site.json"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "check", help="name everything that is wrong with a configuration", allow_abbrev=False
    )
    _add_file(check)
    check.set_defaults(run=_check)
    example = actions.add_parser(
        "example", help="print a complete, commented configuration", allow_abbrev=False
    )
    example.set_defaults(run=_example)
    compiled = actions.add_parser(
        "compile",
        help="write site.json for the nodes and submit hosts of one cluster",
        allow_abbrev=False,
    )
    _add_file(compiled)
    compiled.add_argument(
        "--cluster", metavar="NAME", help="which cluster, where there are several"
    )
    compiled.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="where to write it (default: print it)"
    )
    compiled.set_defaults(run=_compile)
    reference = actions.add_parser(
        "reference", help="print the reference page of all keys (Markdown)", allow_abbrev=False
    )
    reference.set_defaults(run=_reference)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=Path,
        help="the configuration (default $CARBONSCHED_CONFIG or /etc/carbonsched/carbonsched.yaml)",
    )


def _check(arguments: argparse.Namespace) -> int:
    from carbonsched.bootstrap import SystemClock
    from carbonsched.config.loader import config_path, load
    from carbonsched.config.notes import notes
    from carbonsched.intensity.build import build_chains

    path = arguments.file or config_path()
    try:
        config = load(path)
    except ConfigError as error:
        return _refuse(error)
    try:
        build_chains(config.zones, SystemClock())  # asks nobody; knows countries and codes
    except ConfigError as error:
        return _refuse(ConfigError([f"{path}: {problem}" for problem in error.problems]))
    for note in notes(config):
        print(f"{path}: note: {note}", file=sys.stderr)
    clusters = ", ".join(f"{one.name} in {one.zone}" for one in config.clusters)
    print(f"{path}: good ({config.site.name}: {clusters}; {len(config.quotas)} quotas)")
    return 0


def _example(_arguments: argparse.Namespace) -> int:
    from carbonsched.config.example import example

    sys.stdout.write(example())
    return 0


def _compile(arguments: argparse.Namespace) -> int:
    from carbonsched.config.compile import compile_site
    from carbonsched.config.loader import load

    try:
        config = load(arguments.file)
    except ConfigError as error:
        return _refuse(error)
    text = compile_site(config, arguments.cluster).to_json()
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        _write(arguments.output, text)
    return 0


def _reference(_arguments: argparse.Namespace) -> int:
    from carbonsched.config.reference import reference

    sys.stdout.write(reference())
    return 0


def _refuse(error: ConfigError) -> int:
    """Print one line for each fault, in the form that editors jump to."""
    for line in error.problems:
        print(line, file=sys.stderr)
    return error.exit_status


def _write(path: Path, text: str) -> None:
    """Replace the file in one step: agents and csbatch may be reading it."""
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
        ) as stream:
            temporary = Path(stream.name)
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise CarbonschedError(f"{path}: cannot be written ({error.strerror})") from None
