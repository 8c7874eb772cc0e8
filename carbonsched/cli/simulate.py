"""``carbonsched simulate``: what a site would have emitted under another policy."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from carbonsched.cli.common import note, show_json
from carbonsched.cli.progress import progress
from carbonsched.cli.simulate_trace import add_trace_options, from_trace
from carbonsched.errors import RequestError
from carbonsched.sim.peers import NAMES as PEERS

if TYPE_CHECKING:
    from carbonsched.planning import PlanningParameters
    from carbonsched.sim.bound import Bound
    from carbonsched.sim.scenario import Run, Scenario

POLICIES = ("immediate", "carbon")
PRICED = "priced"
_STEPS = 1000  # of a bar whose end is not known


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and what runs it."""
    parser.description = (
        "Replay a trace of jobs against recorded carbon intensities and the forecasts\n"
        "that had been issued, and compare policies. Needs no Slurm."
    )
    parser.epilog = (
        "examples:\n"
        "  carbonsched simulate example\n"
        "  carbonsched simulate example --policy carbon --chart simulation.html\n"
        "  carbonsched simulate example --policy carbon --policy cats --bound\n"
        "  carbonsched simulate --trace jobs.txt --nodes 64 --zone DE \\\n"
        "      --intensity actual.csv --forecasts forecasts.csv"
    )
    parser.add_argument(
        "scenario",
        metavar="SCENARIO",
        nargs="?",
        help="scenario folder, or 'example' for the shipped one",
    )
    parser.add_argument(
        "--policy",
        action="append",
        choices=(*POLICIES, PRICED, *PEERS),
        metavar="NAME",
        help=f"{', '.join((*POLICIES, PRICED, *PEERS))}; may be given several times"
        f" (default: {' and '.join(POLICIES)})",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write schedule.csv there (below a folder for each policy where there are several)",
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
    add_trace_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Simulate, print the tables, write what was asked for."""
    scenario = _scenario(arguments)
    asked = list(dict.fromkeys(arguments.policy or POLICIES))
    schedules = _schedules(scenario, asked, arguments)
    _tell(scenario, schedules, arguments)
    say = note if arguments.json else print
    try:
        if arguments.out is not None:
            for line in _write({name: schedules[name] for name in asked}, arguments.out):
                say(line)
        if arguments.chart is not None:
            _draw(scenario, schedules, arguments.chart)
            say(f"chart: {arguments.chart}")
    except OSError as error:
        raise RequestError(f"{error.filename}: {error.strerror}; nothing more written") from None
    return 0


def _scenario(arguments: argparse.Namespace) -> Scenario:
    from carbonsched.sim.files import read_scenario, scenario_folder

    if (arguments.scenario is None) == (arguments.trace is None):
        raise RequestError("give a SCENARIO, such as 'example', or --trace FILE")
    if arguments.trace is None:
        return read_scenario(scenario_folder(arguments.scenario))
    return from_trace(arguments)


def _schedules(
    scenario: Scenario, asked: list[str], arguments: argparse.Namespace
) -> dict[str, list[Run]]:
    """By name, the immediate one first: those of the policies, then those of files."""
    from carbonsched.planning import PlanningParameters
    from carbonsched.sim.files import read_schedule
    from carbonsched.sim.validate import fault

    parameters = PlanningParameters(slot_s=arguments.slot, minimum_gain_pct=arguments.minimum_gain)
    schedules = {
        name: _simulate(scenario, name, parameters) for name in dict.fromkeys((POLICIES[0], *asked))
    }
    for path in arguments.schedule or ():
        name = path.resolve().parent.name if path.stem == "schedule" else path.stem
        name = path.name if name in schedules else name
        if name in schedules:
            raise RequestError(f"{path}: there is a schedule named {name} already; rename the file")
        schedules[name] = read_schedule(path, scenario)
        wrong = fault(schedules[name], scenario)
        if wrong:
            raise RequestError(f"{path}: void, {wrong}")
    return schedules


def _tell(
    scenario: Scenario, schedules: dict[str, list[Run]], arguments: argparse.Namespace
) -> None:
    from carbonsched.sim.report import bound_line, document, table
    from carbonsched.sim.score import score

    immediate = schedules[POLICIES[0]]
    bound = _bound(scenario, immediate, arguments.bound_time) if arguments.bound else None
    bound_kg = bound.kg if bound else None
    scores = [
        score(name, runs, immediate, scenario, bound_kg=bound_kg)
        for name, runs in schedules.items()
    ]
    if arguments.json:
        show_json(document(scenario.name, scores, bound))
        return
    clusters = ", ".join(f"{one.nodes} nodes in {one.zone}" for one in scenario.clusters)
    print(f"{scenario.name}: {len(scenario.jobs)} jobs on {clusters}")
    if bound:
        print(bound_line(bound, scores[0].kg))
    print(table(scores))


def _bound(scenario: Scenario, immediate: list[Run], time_limit_s: int) -> Bound:
    from carbonsched.sim.bound import lower_bound

    with progress("bound", _STEPS) as advance:
        told = 0

        def tell(share: float) -> None:
            nonlocal told
            steps = max(0, round(share * _STEPS) - told)
            told += steps
            advance(steps)

        return lower_bound(scenario, immediate, time_limit_s=time_limit_s, progress=tell)


def _simulate(scenario: Scenario, name: str, parameters: PlanningParameters) -> list[Run]:
    from carbonsched.sim.engine import Simulation
    from carbonsched.sim.policies import make_policy

    policy = make_policy(name, scenario, parameters)
    with progress(name, len(scenario.jobs)) as advance:
        return Simulation(scenario, policy, advance).run()


def _write(schedules: dict[str, list[Run]], folder: Path) -> Iterator[str]:
    from carbonsched.sim.files import write_schedule

    for name, runs in schedules.items():
        where = folder / name if len(schedules) > 1 else folder
        where.mkdir(parents=True, exist_ok=True)
        write_schedule(runs, where / "schedule.csv")
        yield f"{name}: {where / 'schedule.csv'}"


def _draw(scenario: Scenario, schedules: dict[str, list[Run]], path: Path) -> None:
    if path.suffix == ".svg":
        from carbonsched.sim.chart_svg import write_picture

        write_picture(scenario, schedules, path)
    else:
        from carbonsched.sim.chart import write_chart

        write_chart(scenario, schedules, path)


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
