"""One policy on one scenario: simulated, kept in a folder, and read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carbonsched.errors import RequestError
from carbonsched.planning import PlanningParameters
from carbonsched.sim.engine import Simulation
from carbonsched.sim.files import read_schedule, write_schedule
from carbonsched.sim.policies import make_policy
from carbonsched.sim.scenario import Run, Scenario
from carbonsched.sim.validate import fault

SCHEDULE = "schedule.csv"
_ABOUT = "about.json"
"""Is written last: a folder without it holds no whole outcome."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A schedule, and how often the policy moved a start or paused a job where that is known."""

    runs: list[Run]
    calls: int | None = None


def simulated(
    scenario: Scenario,
    policy: str,
    parameters: PlanningParameters,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Run it; ``progress`` is told each time how many more jobs have ended.

    Raises:
        RequestError: there is no such policy.
    """
    simulation = Simulation(scenario, make_policy(policy, scenario, parameters), progress)
    return Outcome(simulation.run(), simulation.calls)


def keep(outcome: Outcome, folder: Path) -> None:
    """Write it to a folder, which is made.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_schedule(outcome.runs, folder / SCHEDULE)
    draft = folder / f"{_ABOUT}.new"
    draft.write_text(json.dumps({"calls": outcome.calls}), encoding="utf-8")
    draft.replace(folder / _ABOUT)


def forget(folder: Path) -> None:
    """What is in the folder is no outcome any more."""
    (folder / _ABOUT).unlink(missing_ok=True)


def kept(folder: Path, scenario: Scenario) -> Outcome | None:
    """Read it again; ``None`` where there is none.

    Raises:
        RequestError: it is void, or of another scenario.
    """
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    runs = read_schedule(folder / SCHEDULE, scenario)
    if wrong := fault(runs, scenario):
        raise RequestError(f"{folder / SCHEDULE}: void, {wrong}")
    return Outcome(runs, about["calls"])
