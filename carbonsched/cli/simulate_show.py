"""What ``carbonsched simulate`` shows and writes of one scenario."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbonsched.cli.progress import progress
from carbonsched.sim.names import EXPLAINED, IMMEDIATE, knowing_name

if TYPE_CHECKING:
    from carbonsched.sim.bound import Bound
    from carbonsched.sim.outcome import Outcome
    from carbonsched.sim.scenario import Scenario

_STEPS = 1000  # of a bar whose end is not known


@dataclass(frozen=True, slots=True)
class Shown:
    """A scenario and its outcomes by name, the immediate one's among them."""

    scenario: Scenario
    outcomes: Mapping[str, Outcome]


def show_tables(shown: Shown, arguments: argparse.Namespace) -> dict[str, Any]:
    """Print the tables unless JSON is asked for; the document of the same."""
    from carbonsched.sim.report import analyses, bound_line, document, explained, table
    from carbonsched.sim.score import score

    scenario = shown.scenario
    immediate = shown.outcomes[IMMEDIATE].runs
    bound = _bound(shown, arguments.bound_time) if arguments.bound else None
    scores = [
        score(
            name,
            one.runs,
            immediate,
            scenario,
            bound_kg=bound.kg if bound else None,
            calls=one.calls,
        )
        for name, one in shown.outcomes.items()
    ]
    if not arguments.json:
        clusters = ", ".join(f"{one.nodes} nodes in {one.zone}" for one in scenario.clusters)
        print(f"{scenario.name}: {len(scenario.jobs)} jobs on {clusters}")
        by_name = {one.policy: one for one in scores}
        if bound:
            print(bound_line(bound, by_name[IMMEDIATE].kg))
        print(table(scores))
        steps = [by_name[name] for name in map(knowing_name, EXPLAINED) if name in by_name]
        if arguments.explain and len(steps) == len(EXPLAINED):
            print(f"\n{explained(steps)}")
        print(analyses(scores), end="")
    return document(scenario.name, scores, bound)


def _bound(shown: Shown, time_limit_s: int) -> Bound:
    from carbonsched.sim.bound import lower_bound

    immediate = shown.outcomes[IMMEDIATE].runs
    with progress(f"{shown.scenario.name}: bound", _STEPS) as advance:
        told = 0

        def tell(share: float) -> None:
            nonlocal told
            steps = max(0, round(share * _STEPS) - told)
            told += steps
            advance(steps)

        return lower_bound(shown.scenario, immediate, time_limit_s=time_limit_s, progress=tell)


def keep_all(shown: Shown, names: Sequence[str], out: Path, *, several: bool) -> Iterator[str]:
    """Write each policy's schedule, and tell where; ``several`` scenarios have a folder each.

    Raises:
        OSError: it cannot be written.
    """
    from carbonsched.sim.outcome import SCHEDULE, keep

    for name in names:
        if name not in shown.outcomes:
            continue
        where = out / folder_name(shown.scenario) if several else out
        where = where / name if several or len(names) > 1 else where
        keep(shown.outcomes[name], where)
        yield f"{name}: {where / SCHEDULE}"


def folder_name(scenario: Scenario) -> str:
    """The name of a scenario as that of a folder."""
    return scenario.name.replace("/", "_").lstrip(".") or "_"


def draw(shown: Shown, path: Path) -> None:
    """The picture or the chart.

    Raises:
        OSError: it cannot be written.
    """
    schedules = {name: one.runs for name, one in shown.outcomes.items()}
    if path.suffix == ".svg":
        from carbonsched.sim.chart_svg import write_picture

        write_picture(shown.scenario, schedules, path)
    else:
        from carbonsched.sim.chart import write_chart

        write_chart(shown.scenario, schedules, path)
