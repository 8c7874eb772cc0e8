"""``carbonsched simulate --slurm``: policies and scenarios as the tasks of one job array."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carbonsched.cli.common import note
from carbonsched.cli.simulate_show import folder_name
from carbonsched.errors import RequestError
from carbonsched.sim.names import compared

if TYPE_CHECKING:
    from carbonsched.sim.array import Task
    from carbonsched.sim.outcome import Outcome
    from carbonsched.sim.scenario import Scenario


def add_slurm_options(parser: argparse.ArgumentParser) -> None:
    """Whether it is spread over a cluster, and how."""
    group = parser.add_argument_group("spread over a Slurm cluster")
    group.add_argument(
        "--slurm",
        action="store_true",
        help="run each policy on each SCENARIO as a task of one job array and wait for all;"
        " --out DIR, scenarios and this program must be where every node finds them",
    )
    group.add_argument(
        "--slurm-time",
        type=_count,
        default=60,
        metavar="MIN",
        help="time limit of each task, minutes (60)",
    )
    group.add_argument(
        "--slurm-wait",
        type=_count,
        default=24,
        metavar="H",
        help="cancel what has not ended after so many hours (24)",
    )
    group.add_argument(
        "--slurm-options",
        type=_words,
        default=(),
        metavar="TEXT",
        help="options of sbatch's own, as ='-p debug --mem=2G'",
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """What came of an array: outcomes by scenario and policy, and a line for each failure."""

    outcomes: Mapping[str, dict[str, Outcome]]
    failures: tuple[str, ...]

    def of(self, scenario: Scenario) -> dict[str, Outcome]:
        """Those of one scenario by policy."""
        return self.outcomes[scenario.name]


def on_slurm(
    scenarios: Sequence[Scenario], names: Sequence[str], arguments: argparse.Namespace
) -> Spread:
    """Submit one task for each scenario and policy, wait, and gather.

    Raises:
        RequestError: an option does not go with it, or ``--out`` cannot be written.
        ExternalError: no Slurm, or it refuses.
    """
    from carbonsched.sim.array import Limits, run_array

    if arguments.out is None:
        raise RequestError("--slurm needs --out DIR, a folder that all nodes share")
    out = arguments.out.resolve()
    tasks = list(_tasks(scenarios, names, arguments, out))
    limits = Limits(
        task_minutes=arguments.slurm_time,
        wait_s=3600 * arguments.slurm_wait,
        options=tuple(arguments.slurm_options),
    )
    note(f"{len(tasks)} tasks in one job array; results in {out}")
    try:
        run_array(tasks, out, limits)
    except OSError as error:
        raise RequestError(f"{error.filename}: {error.strerror}; nothing submitted") from None
    return _gathered(scenarios, names, tasks, out)


def _tasks(
    scenarios: Sequence[Scenario],
    names: Sequence[str],
    arguments: argparse.Namespace,
    out: Path,
) -> Iterator[Task]:
    from carbonsched.sim.array import Task
    from carbonsched.sim.files import scenario_folder

    for place, scenario in zip(arguments.scenario, scenarios, strict=True):
        for name in compared(names):
            yield Task(
                scenario=str(scenario_folder(place).resolve()),
                policy=name,
                slot_s=arguments.slot,
                minimum_gain_pct=arguments.minimum_gain,
                folder=str(out / folder_name(scenario) / name),
            )


def _gathered(
    scenarios: Sequence[Scenario], names: Sequence[str], tasks: Sequence[Task], out: Path
) -> Spread:
    """The outcomes that the tasks have left; those that left none have failed."""
    from carbonsched.sim.array import log_of
    from carbonsched.sim.outcome import kept

    outcomes: dict[str, dict[str, Outcome]] = {one.name: {} for one in scenarios}
    failures = []
    wanted = [(scenario, name) for scenario in scenarios for name in compared(names)]
    for number, ((scenario, name), task) in enumerate(zip(wanted, tasks, strict=True)):
        outcome = kept(Path(task.folder), scenario)
        if outcome is None:
            log = log_of(out, number)
            why = f"see {log}" if log.exists() else "it wrote no log; see sacct"
            failures.append(f"{scenario.name}, {name}: the task failed, {why}")
        else:
            outcomes[scenario.name][name] = outcome
    return Spread(outcomes, tuple(failures))


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"cannot be split: {error}") from None
