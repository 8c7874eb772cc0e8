"""Schedules as a chart for a browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from carbonsched.sim.scenario import Run, Scenario
from carbonsched.sim.usage import nodes_in_use


def write_chart(scenario: Scenario, schedules: Mapping[str, Sequence[Run]], path: Path) -> None:
    """One HTML file that needs no network: the grid above, nodes in use below."""
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        subplot_titles=("Carbon intensity, g/kWh", "Nodes in use"),
    )
    ends = [run.end_at for runs in schedules.values() for run in runs]
    last_at = max((scenario.end_at, *ends))
    for zone in sorted({cluster.zone for cluster in scenario.clusters}):
        points = [
            point
            for point in scenario.intensity[zone].points
            if scenario.start_at <= point.start_at < last_at
        ]
        figure.add_trace(
            go.Scatter(
                x=_clock(point.start_at for point in points),
                y=[point.mg_per_kwh / 1000 for point in points],
                name=zone,
                line_shape="hv",
            ),
            row=1,
            col=1,
        )
    for policy, runs in schedules.items():
        in_use = list(nodes_in_use(runs))
        figure.add_trace(
            go.Scatter(
                x=_clock(at for at, _ in in_use),
                y=[nodes for _, nodes in in_use],
                name=policy,
                line_shape="hv",
            ),
            row=2,
            col=1,
        )
    figure.update_layout(title_text=f"Scenario {scenario.name} (times in UTC)", template="none")
    figure.write_html(path, include_plotlyjs=True)


def _clock(instants: Iterable[int]) -> list[str]:
    return [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") for at in instants]
