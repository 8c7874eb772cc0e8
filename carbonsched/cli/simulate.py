"""``carbonsched simulate``: what a site would have emitted under another policy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbonsched.cli.common import note, show_json
from carbonsched.cli.progress import progress
from carbonsched.cli.simulate_show import Shown, draw, keep_all, show_tables
from carbonsched.cli.simulate_slurm import add_slurm_options, on_slurm
from carbonsched.cli.simulate_trace import add_trace_options, from_trace
from carbonsched.errors import ExternalError, RequestError
from carbonsched.sim.names import (
    CARBON,
    EXPLAINED,
    IMMEDIATE,
    POLICIES,
    compared,
    knowing_name,
    truths_of,
)

if TYPE_CHECKING:
    from carbonsched.planning import PlanningParameters
    from carbonsched.sim.outcome import Outcome
    from carbonsched.sim.scenario import Scenario

DEFAULT = (IMMEDIATE, CARBON)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and what runs it."""
    parser.description = (
        "Replay a trace of jobs against recorded carbon intensities and the forecasts\n"
        "that had been issued, and compare policies. Needs no Slurm, but can use it."
    )
    parser.epilog = (
        "examples:\n"
        "  carbonsched simulate example\n"
        "  carbonsched simulate example --policy carbon --chart simulation.html\n"
        "  carbonsched simulate example --policy carbon --policy cats --bound\n"
        "  carbonsched simulate example --explain\n"
        "  carbonsched simulate summer winter --slurm --out /shared/results\n"
        "  carbonsched simulate --trace jobs.txt --nodes 64 --zone DE \\\n"
        "      --intensity actual.csv --forecasts forecasts.csv"
    )
    parser.add_argument(
        "scenario",
        metavar="SCENARIO",
        nargs="*",
        help="scenario folders, or 'example' for the shipped one",
    )
    parser.add_argument(
        "--policy",
        action="append",
        choices=POLICIES,
        metavar="NAME",
        help=f"{', '.join(POLICIES)}; may be given several times"
        f" (default: {' and '.join(DEFAULT)})",
    )
    parser.add_argument(
        "--know",
        action="append",
        type=truths_of,
        metavar="WHAT",
        help="an analysis, no policy: carbon told what nobody can know, of run-times,"
        " intensity, arrivals (with commas) or all; may be given several times",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="how much of the bound carbon misses for want of each: --know in steps",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write schedule.csv there, below folders for scenarios and policies where there"
        " are several",
    )
    parser.add_argument(
        "--schedule",
        action="append",
        type=Path,
        metavar="FILE",
        help="check and score this schedule as well; may be given several times",
    )
    parser.add_argument(
        "--bound",
        action="store_true",
        help="reckon what no schedule on time can better, and each policy's share of that",
    )
    parser.add_argument(
        "--bound-time",
        type=_positive,
        default=300,
        metavar="S",
        help="stop the bound after so many seconds with what is proven by then (300)",
    )
    parser.add_argument("--json", action="store_true", help="the scores as JSON, all digits")
    parser.add_argument(
        "--chart",
        type=_chart,
        metavar="FILE",
        help="write a picture (.svg), or a chart to look around in (.html); needs no network",
    )
    parser.add_argument(
        "--slot", type=_positive, default=900, metavar="S", help="planning slot, seconds (900)"
    )
    parser.add_argument(
        "--minimum-gain",
        type=_share,
        default=5.0,
        metavar="PCT",
        help="least saving worth a deferral, per cent (5)",
    )
    add_slurm_options(parser)
    add_trace_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Simulate, print the tables, write what was asked for."""
    scenarios, names = _scenarios(arguments), _names(arguments)
    arguments.bound |= arguments.explain
    spread = on_slurm(scenarios, names, arguments) if arguments.slurm else None
    documents: list[dict[str, Any]] = []
    failures = spread.failures if spread else ()
    for scenario in scenarios:
        outcomes = spread.of(scenario) if spread else _simulated(scenario, names, arguments)
        if IMMEDIATE not in outcomes:
            continue  # there is nothing to compare with; its failure is told in the end
        outcomes |= _elsewhere(scenario, outcomes, arguments)
        if documents and not arguments.json:
            print()
        documents.append(show_tables(Shown(scenario, outcomes), arguments))
        _write(Shown(scenario, outcomes), names, arguments, several=len(scenarios) > 1)
    if arguments.json:
        show_json(documents[0] if len(scenarios) == len(documents) == 1 else documents)
    if failures:
        raise ExternalError("\n".join(failures))
    return 0


def _scenarios(arguments: argparse.Namespace) -> list[Scenario]:
    from carbonsched.sim.files import read_scenario, scenario_folder

    if bool(arguments.scenario) == (arguments.trace is not None):
        raise RequestError("give a SCENARIO, such as 'example', or --trace FILE")
    if arguments.slurm and arguments.trace is not None:
        raise RequestError("--slurm takes SCENARIO folders, not --trace")
    if arguments.trace is not None:
        return [from_trace(arguments)]
    scenarios = [read_scenario(scenario_folder(name)) for name in arguments.scenario]
    names = [scenario.name for scenario in scenarios]
    for place, name in zip(arguments.scenario, names, strict=True):
        if names.count(name) > 1:
            raise RequestError(f"{place}: there are two scenarios named {name}; rename one")
    for option in ("schedule", "chart"):
        if len(scenarios) > 1 and getattr(arguments, option):
            raise RequestError(f"--{option} goes with one SCENARIO")
    return scenarios


def _names(arguments: argparse.Namespace) -> list[str]:
    """All that is asked for, each once; the immediate one is wanted to compare with."""
    names = list(arguments.policy or (() if arguments.explain else DEFAULT))
    if arguments.explain:
        names += [knowing_name(truths) for truths in EXPLAINED]
    names += [knowing_name(truths) for truths in arguments.know or ()]
    return list(dict.fromkeys(names))


def _parameters(arguments: argparse.Namespace) -> PlanningParameters:
    from carbonsched.planning import PlanningParameters

    return PlanningParameters(slot_s=arguments.slot, minimum_gain_pct=arguments.minimum_gain)


def _simulated(
    scenario: Scenario, names: list[str], arguments: argparse.Namespace
) -> dict[str, Outcome]:
    """Each policy's, here, the immediate one's first."""
    from carbonsched.sim.outcome import simulated

    outcomes = {}
    for name in compared(names):
        with progress(f"{scenario.name}: {name}", len(scenario.jobs)) as advance:
            outcomes[name] = simulated(scenario, name, _parameters(arguments), advance)
    return outcomes


def _elsewhere(
    scenario: Scenario, outcomes: dict[str, Outcome], arguments: argparse.Namespace
) -> dict[str, Outcome]:
    """The schedules of files by name."""
    from carbonsched.sim.files import read_schedule
    from carbonsched.sim.outcome import Outcome
    from carbonsched.sim.validate import fault

    schedules: dict[str, Outcome] = {}
    for path in arguments.schedule or ():
        name = path.resolve().parent.name if path.stem == "schedule" else path.stem
        name = path.name if name in outcomes else name
        if name in outcomes or name in schedules:
            raise RequestError(f"{path}: there is a schedule named {name} already; rename the file")
        schedules[name] = Outcome(read_schedule(path, scenario))
        wrong = fault(schedules[name].runs, scenario)
        if wrong:
            raise RequestError(f"{path}: void, {wrong}")
    return schedules


def _write(shown: Shown, names: list[str], arguments: argparse.Namespace, *, several: bool) -> None:
    """Schedules and chart, and where they are."""
    say = note if arguments.json else print
    try:
        if arguments.out is not None and not arguments.slurm:
            for line in keep_all(shown, names, arguments.out, several=several):
                say(line)
        if arguments.chart is not None:
            draw(shown, arguments.chart)
            say(f"chart: {arguments.chart}")
    except OSError as error:
        raise RequestError(f"{error.filename}: {error.strerror}; nothing more written") from None


def _chart(text: str) -> Path:
    if Path(text).suffix not in {".svg", ".html"}:
        raise argparse.ArgumentTypeError("must end in .svg or .html")
    return Path(text)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1 second")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError("must be between 0 and 100")
    return value
