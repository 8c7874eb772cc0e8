"""How good forecasts were, as a table, as rows for programs, and as a chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from carbonsched.forecasting.scoring import JOB_HOURS, Score
from carbonsched.reports.terminal import clean, pad

_HEAD = f"{'method':12}  day    MAPE %  bias g/kWh  in 80 %"
LEGEND = (
    "in 80 %: hours within the 80 % interval. 1 h % to 24 h %: extra grams of a job",
    "that long, started on that day by the forecast, beside the day's best start.",
)
_CHART_JOB_H = 4
_COLOURS = {
    "provider": "#8a8a8a",
    "persistence": "#c67a2e",
    "week-mean": "#b39ddb",
    "carbonsched": "#2e7d5b",
}


class Row(TypedDict):
    """One line of ``intensity evaluate --json``."""

    zone: str | None
    basis: str | None
    method: str
    lead_day: int
    n: int
    mape_pct: float | None
    bias_g_per_kwh: float | None
    coverage80_pct: float | None
    regret_1h_pct: float | None
    regret_4h_pct: float | None
    regret_12h_pct: float | None
    regret_24h_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The scores of one zone and basis, over so many issues."""

    zone: str
    basis: str
    issues: int
    first: str
    last: str
    scores: tuple[Score, ...]

    @property
    def name(self) -> str:
        """Zone and basis for people."""
        zone = clean(self.zone) or "zone not named"
        return f"{zone} {clean(self.basis)}" if self.basis else zone


def rows(scored: Iterable[Scored]) -> list[Row]:
    """One row for each zone, basis, method and lead day, to three decimals."""
    return [_row(one, score) for one in scored for score in one.scores]


def _row(one: Scored, score: Score) -> Row:
    regret = dict(zip(JOB_HOURS, (_rounded(value) for value in score.regret_pct), strict=True))
    return {
        "zone": one.zone or None,
        "basis": one.basis or None,
        "method": score.method,
        "lead_day": score.lead_day,
        "n": score.n,
        "mape_pct": _rounded(score.mape_pct),
        "bias_g_per_kwh": _rounded(score.bias_g_per_kwh),
        "coverage80_pct": _rounded(score.coverage80_pct),
        "regret_1h_pct": regret[1],
        "regret_4h_pct": regret[4],
        "regret_12h_pct": regret[12],
        "regret_24h_pct": regret[24],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def table(one: Scored) -> list[str]:
    """Lines of at most 80 columns."""
    head = _HEAD + "".join(f"{hours} h %".rjust(7) for hours in JOB_HOURS)
    lines = [f"{one.name}: {one.issues} issues, {one.first} to {one.last}", head]
    before = ""
    for score in one.scores:
        name = score.method if score.method != before else ""
        before = score.method
        regret = "".join(_cell(value, 7, 1) for value in score.regret_pct)
        lines.append(
            f"{pad(name, 12)}  {score.lead_day:>3}  {_cell(score.mape_pct, 8, 2)}"
            f"  {_cell(score.bias_g_per_kwh, 10, 1)}  {_cell(score.coverage80_pct, 7, 1)}{regret}"
        )
    return [line.rstrip() for line in lines]


def _cell(value: float | None, width: int, digits: int) -> str:
    text = "-" if value is None else f"{value:.{digits}f}"
    return text.rjust(width)


def write_chart(scored: Sequence[Scored], path: Path) -> None:
    """By lead day, for each zone and basis: MAPE, and the extra grams of a job of four hours.

    One HTML file that needs no network.

    Raises:
        OSError: the file cannot be written.
    """
    import plotly.graph_objects as go  # noqa: PLC0415  # slow, and only where a chart is asked for
    from plotly.subplots import make_subplots  # noqa: PLC0415

    titles = [f"{one.name}: {what}" for one in scored for what in ("error", "extra grams")]
    figure = make_subplots(rows=len(scored), cols=2, subplot_titles=titles)
    job = JOB_HOURS.index(_CHART_JOB_H)
    for line, one in enumerate(scored, start=1):
        for method, colour in _COLOURS.items():
            mine = [score for score in one.scores if score.method == method]
            days = [f"day {score.lead_day}" for score in mine]
            shown = ([score.mape_pct for score in mine], [score.regret_pct[job] for score in mine])
            for column, values in enumerate(shown, start=1):
                bar = go.Bar(
                    x=days, y=values, name=method, marker_color=colour,
                    legendgroup=method, showlegend=line == column == 1,
                )  # fmt: skip
                figure.add_trace(bar, row=line, col=column)
    figure.update_yaxes(ticksuffix=" %", rangemode="tozero")
    figure.update_layout(
        title_text="Forecasts beside what came: mean absolute error, and"
        f"<br>extra grams of a job of {_CHART_JOB_H} h started by the forecast,"
        " beside the day's best start",
        template="none",
        barmode="group",
        margin_t=130,
        height=260 * len(scored) + 160,
    )
    figure.write_html(path, include_plotlyjs=True)
