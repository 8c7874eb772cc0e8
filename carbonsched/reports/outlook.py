"""The grid's intensity as csinfo shows it: a chart and a table of the hours to come."""

from __future__ import annotations

from collections.abc import Sequence

from carbonsched.reports.documents import ForecastStep, ZoneOutlook
from carbonsched.reports.fields import Field
from carbonsched.reports.moments import local, span, stamp, when
from carbonsched.reports.tables import Cell, Column, table
from carbonsched.reports.terminal import Screen, clean, cut, paragraph

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:=#"
"""Marks of a column's fill, from nothing to all; the second for terminals without the first."""
_HEIGHT = 6
_LABEL = 7
_THIRDS = ("green", "yellow", "red")


def zone_lines(
    zone: ZoneOutlook, now: int, length_s: int | None, screen: Screen, marks: str
) -> list[str]:
    """One zone: what is known, the chart, the table, the cleanest window, whose word it is."""
    lines = [screen.paint(cut(_headline(zone, now), screen.width), "bold")]
    if not zone["steps"]:
        lines.append("  No forecast reaches beyond now.")
    else:
        lines += ["", *_chart(zone["steps"], screen, marks), "", *_table(zone["steps"], screen)]
    lines += ["", *(_window(zone, length_s, now, screen) if length_s else [])]
    for fact in _sources(zone, now):
        lines += paragraph(fact, screen.width)
    return lines


def _headline(zone: ZoneOutlook, now: int) -> str:
    current = zone["current"]
    if current is None:
        return clean(f"{zone['zone']}: no value of the last day is known")
    kind = "estimated" if current["estimated"] else "measured"
    age = span(max(0, now - current["end_at"]))
    return clean(f"{zone['zone']}: {current['g_per_kwh']:.0f} g/kWh, {kind}, until {age} ago")


def _sources(zone: ZoneOutlook, now: int) -> list[str]:
    facts = []
    if zone["forecast_label"] and zone["issued_at"] is not None:
        issued = f"issued {span(max(0, now - zone['issued_at']))} ago"
        ends = f", reaches to {when(zone['ends_at'], now)}" if zone["ends_at"] else ""
        facts.append(f"Forecast: {zone['forecast_label']}; {issued}{ends}.")
    current = zone["current"]
    if current is not None:
        fetched = span(max(0, now - current["fetched_at"]))
        facts.append(f"Now: {current['label']}; told {fetched} ago.")
    if zone["ranking_label"]:
        facts.append(f"Jobs are placed by: {zone['ranking_label']}.")
    return facts


def _window(zone: ZoneOutlook, length_s: int, now: int, screen: Screen) -> list[str]:
    found = zone["window"]
    if found is None:
        return [f"No window of {span(length_s)}: the forecast does not reach so far.", ""]
    begin = "now" if found["start_at"] <= now else when(found["start_at"], now)
    text = f"Cleanest {span(length_s)}: {begin} to {when(found['end_at'], now)}"
    text += f", {found['g_per_kwh']:.0f} g/kWh"
    base = found["now_g_per_kwh"]
    if found["start_at"] > now and base > 0:
        less = round(100 * (base - found["g_per_kwh"]) / base)
        text += f", {less} % less than from now ({base:.0f})"
    return [screen.paint(text, "green"), ""]


def _tint(step: ForecastStep, lowest: float, highest: float) -> str:
    if highest <= lowest:
        return ""
    share = (step["g_per_kwh"] - lowest) / (highest - lowest)
    return _THIRDS[min(2, int(share * 3))]


def _bounds(steps: Sequence[ForecastStep]) -> tuple[float, float]:
    values = [step["g_per_kwh"] for step in steps]
    return min(values), max(values)


def _chart(steps: Sequence[ForecastStep], screen: Screen, marks: str) -> list[str]:
    """A column for each hour, from 0; a missing hour is a blank column."""
    hour_s = 3600
    first = steps[0]["start_at"] // hour_s
    by_hour = {step["start_at"] // hour_s - first: step for step in steps}
    count = min(max(by_hour) + 1, screen.width - _LABEL - 2)
    lowest, highest = _bounds(steps)
    full = len(marks) - 1
    lines = []
    for row in range(_HEIGHT, 0, -1):
        label = f"{highest * row / _HEIGHT:.0f}" if row in {_HEIGHT, _HEIGHT // 2} else ""
        drawn = ""
        for column in range(count):
            step = by_hour.get(column)
            if step is None:
                drawn += " "
                continue
            level = step["g_per_kwh"] / highest * _HEIGHT - (row - 1) if highest else 0
            mark = marks[min(full, max(0, round(level * full)))]
            drawn += screen.paint(mark, _tint(step, lowest, highest)) if mark != " " else mark
        lines.append(f"{label:>{_LABEL}} |{drawn}".rstrip())
    return [*lines, f"{'0':>{_LABEL}} +{'-' * count}", _axis(first * hour_s, count)]


def _axis(first_at: int, count: int) -> str:
    """The local hour under every sixth column."""
    line = [" "] * (count + 2)
    for column in range(count):
        moment = local(first_at + column * 3600)
        if moment.hour % 6 == 0:
            line[column : column + 2] = moment.strftime("%H")
    return (" " * (_LABEL + 2) + "".join(line)).rstrip()


def _table(steps: Sequence[ForecastStep], screen: Screen) -> list[str]:
    """Hours in two blocks beside each other."""
    half = (len(steps) + 1) // 2
    banded = any(step["low"] is not None for step in steps)
    block = [Column(title="HOUR"), Column(title="G/KWH", right=True)]
    block += [Column(title="80 %", right=True)] if banded else []
    lowest, highest = _bounds(steps)
    rows = []
    for index in range(half):
        row: list[Cell] = []
        for at in (index, index + half):
            step = steps[at] if at < len(steps) else None
            row += _cells(step, banded, lowest, highest)
        rows.append(row)
    return table([*block, Column(title="  "), *block], [_split(row) for row in rows], screen)


def _split(row: list[Cell]) -> list[Cell]:
    middle = len(row) // 2
    return [*row[:middle], Cell(""), *row[middle:]]


def _cells(step: ForecastStep | None, banded: bool, lowest: float, highest: float) -> list[Cell]:
    if step is None:
        return [Cell("")] * (3 if banded else 2)
    cells = [
        Cell(local(step["start_at"]).strftime("%a %H:%M")),
        Cell(f"{step['g_per_kwh']:.0f}", _tint(step, lowest, highest)),
    ]
    if banded:
        low, high = step["low"], step["high"]
        cells.append(Cell("-" if low is None or high is None else f"{low:.0f}-{high:.0f}"))
    return cells


class StepRow(ForecastStep):
    """An hour with its zone, for pipes."""

    zone: str


FIELDS: tuple[Field[StepRow], ...] = (
    Field(name="Zone", title="ZONE", raw_name="Zone",
          shown=lambda row, _: row["zone"], raw=lambda row, _: row["zone"]),
    Field(name="Start", title="START", raw_name="Start",
          shown=lambda row, now: when(row["start_at"], now),
          raw=lambda row, _: stamp(row["start_at"])),
    Field(name="End", title="END", raw_name="End",
          shown=lambda row, now: when(row["end_at"], now), raw=lambda row, _: stamp(row["end_at"])),
    Field(name="Intensity", title="G/KWH", raw_name="g_per_kWh", right=True,
          shown=lambda row, _: f"{row['g_per_kwh']:.0f}", raw=lambda row, _: row["g_per_kwh"]),
    Field(name="Low", title="LOW", raw_name="Low_g_per_kWh", right=True,
          shown=lambda row, _: str(row["low"]), raw=lambda row, _: row["low"]),
    Field(name="High", title="HIGH", raw_name="High_g_per_kWh", right=True,
          shown=lambda row, _: str(row["high"]), raw=lambda row, _: row["high"]),
)  # fmt: skip


def step_rows(zones: Sequence[ZoneOutlook]) -> list[StepRow]:
    """Every hour of every zone."""
    return [{**step, "zone": zone["zone"]} for zone in zones for step in zone["steps"]]
