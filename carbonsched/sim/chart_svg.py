"""Schedules as a picture: the grid above, and below it the nodes in use in the grid's colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carbonsched.model.intensity import StepSeries
from carbonsched.reports.chart_parts import CLEAN_TO_DIRTY
from carbonsched.sim.scenario import Run, Scenario
from carbonsched.sim.score import emitted_mg

_Floats = npt.NDArray[np.float64]

_LEFT, _WIDTH, _RIGHT = 52, 900, 14  # pixels; one column of pixels is one bin of time
_TOP, _BOTTOM, _ROW, _GAP = 46, 34, 84, 30
_SHADES = 24
_DAY_S = 86_400
_MOST_LABELS = 10
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#30343b}.title{font-size:15px;font-weight:600}"
    ".head{font-weight:600}.faint{fill:#6b7280}.grid{stroke:#00000018;stroke-width:1}"
    ".line{fill:none;stroke:#30343b;stroke-width:1.2}"
    ".room{stroke:#30343b;stroke-width:1;stroke-dasharray:3 3}"
    "path{shape-rendering:crispEdges}.line{shape-rendering:auto}"
)


def write_picture(scenario: Scenario, schedules: Mapping[str, Sequence[Run]], path: Path) -> None:
    """One SVG file: a row for each zone, then one for each schedule and cluster.

    The height of a row of nodes is the mean in use in each column of pixels, its colour the mean
    intensity then.
    """
    path.write_text("\n".join(_picture(scenario, schedules)) + "\n", encoding="utf-8")


class _Axis:
    """Time from left to right in whole pixels, and the scale of intensity that all rows share."""

    def __init__(self, scenario: Scenario, schedules: Mapping[str, Sequence[Run]]) -> None:
        ends = [run.end_at for runs in schedules.values() for run in runs]
        self.start_at = min(scenario.start_at, *(job.submit_at for job in scenario.jobs))
        self.edges: _Floats = np.linspace(self.start_at, max(ends), _WIDTH + 1)
        zones = sorted({cluster.zone for cluster in scenario.clusters})
        self.grams = {zone: self._means(scenario.intensity[zone]) for zone in zones}
        known = np.concatenate([some[np.isfinite(some)] for some in self.grams.values()])
        low, high = float(known.min(initial=1e9)), float(known.max(initial=0.0))
        self.low, self.high = (low, high) if high > low else (low - 0.5, low + 0.5)

    def _means(self, series: StepSeries) -> _Floats:
        """g/kWh in each column; NaN where nothing is known."""
        starts = np.array([point.start_at for point in series.points])
        ends = np.array([point.end_at for point in series.points])
        levels = np.array([point.mg_per_kwh / 1000 for point in series.points])
        known = self._integral(starts, ends, np.ones(len(levels)))
        with np.errstate(invalid="ignore"):
            return self._integral(starts, ends, levels) / np.where(known > 0, known, np.nan)

    def nodes(self, runs: Sequence[Run]) -> _Floats:
        """The mean number of nodes in use in each column."""
        if not runs:
            return np.zeros(_WIDTH)
        starts = np.array([run.start_at for run in runs])
        ends = np.array([run.end_at for run in runs])
        nodes = np.array([run.job.nodes for run in runs], dtype=np.float64)
        return self._integral(starts, ends, nodes) / np.diff(self.edges)

    def _integral(
        self, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], heights: _Floats
    ) -> _Floats:
        """Each column's integral of steps that may overlap."""
        at = np.concatenate((starts, ends)).astype(np.float64)
        order = np.argsort(at, kind="stable")
        level = np.cumsum(np.concatenate((heights, -heights))[order])
        at = at[order]
        sums = np.concatenate(([0.0], np.cumsum(level[:-1] * np.diff(at))))
        return np.diff(np.interp(self.edges, at, sums))

    def x(self, at: float) -> float:
        """The pixel of an instant."""
        return _LEFT + _WIDTH * (at - self.start_at) / float(self.edges[-1] - self.start_at)

    def days(self) -> Iterator[int]:
        """Midnights, as many as can be labelled."""
        span = (self.edges[-1] - self.start_at) / _DAY_S
        every = max(1, -(-int(span) // _MOST_LABELS))
        first = -(-self.start_at // _DAY_S) * _DAY_S
        yield from range(first, int(self.edges[-1]) + 1, every * _DAY_S)


@dataclass(frozen=True, slots=True)
class _Row:
    """A panel: ``heights`` fill it from below, in the colours of ``grams``."""

    head: str
    note: str
    heights: _Floats
    grams: _Floats
    top: float
    room: float | None = None


def _picture(scenario: Scenario, schedules: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    axis = _Axis(scenario, schedules)
    rows = [*_grid_rows(axis), *_load_rows(scenario, schedules, axis)]
    width = _LEFT + _WIDTH + _RIGHT
    height = _TOP + len(rows) * (_ROW + _GAP) + _BOTTOM - 8
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" role="img">'
    )
    yield f"<title>{escape(scenario.name)}</title><style>{_STYLE}</style>"
    yield f'<rect width="{width}" height="{height}" fill="#fff"/>'
    yield f'<text class="title" x="{_LEFT}" y="24">{escape(scenario.name)}</text>'
    yield from _scale(axis)
    for index, row in enumerate(rows):
        yield from _panel(row, axis, _TOP + index * (_ROW + _GAP) + 20)
    yield from _dates(axis, height)
    yield "</svg>"


def _grid_rows(axis: _Axis) -> Iterator[_Row]:
    for zone, grams in axis.grams.items():
        top = _round_up(float(np.nanmax(grams)))
        yield _Row(f"{zone}, g/kWh", "", np.nan_to_num(grams), grams, top)


def _load_rows(
    scenario: Scenario, schedules: Mapping[str, Sequence[Run]], axis: _Axis
) -> Iterator[_Row]:
    immediate_kg: float | None = None
    for name, runs in schedules.items():
        kg = float(emitted_mg(runs, scenario) / 10**6)
        immediate_kg = kg if immediate_kg is None else immediate_kg
        saved = f", {100 * (kg / immediate_kg - 1):+.1f} %" if 0 < immediate_kg != kg else ""
        note = f"{kg:,.1f} kg CO₂{saved}".replace("-", "\N{MINUS SIGN}")
        for cluster in scenario.clusters:
            here = [run for run in runs if run.cluster == cluster]
            several = f", {cluster.name}" if len(scenario.clusters) > 1 else ""
            yield _Row(
                f"{name}{several}, nodes in use",
                note,
                axis.nodes(here),
                axis.grams[cluster.zone],
                cluster.nodes * 1.06,
                room=cluster.nodes,
            )
            note = ""


def _panel(row: _Row, axis: _Axis, top: float) -> Iterator[str]:
    base = top + _ROW

    def y(value: float) -> float:
        return base - _ROW * value / row.top

    yield f'<text class="head" x="{_LEFT}" y="{top - 6}">{escape(row.head)}</text>'
    if row.note:
        x = _LEFT + _WIDTH
        yield f'<text x="{x}" y="{top - 6}" text-anchor="end">{escape(row.note)}</text>'
    for shade, path in _shaded(row, axis, y):
        yield f'<path fill="{shade}" d="{path}"/>'
    if row.room is None:
        yield f'<path class="line" d="{_line(row, y)}"/>'
    else:
        yield _level("room", y(row.room))
    for value in (0, row.room if row.room is not None else row.top):
        yield _level("grid", y(value))
        place = f'x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end"'
        yield f'<text class="faint" {place}>{value:g}</text>'


def _line(row: _Row, y: Callable[[float], float]) -> str:
    """The outline, broken where nothing is known."""
    known = np.isfinite(row.grams)
    return " ".join(
        f"{'L' if i and known[i - 1] else 'M'}{_LEFT + i} {y(float(row.heights[i])):.1f}"
        for i in np.flatnonzero(known)
    )


def _level(kind: str, y: float) -> str:
    return f'<line class="{kind}" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _shaded(row: _Row, axis: _Axis, y: Callable[[float], float]) -> Iterator[tuple[str, str]]:
    """The filled columns of each shade as one path, for thousands of rectangles are slow."""
    place = np.clip((row.grams - axis.low) / (axis.high - axis.low), 0, 1)
    shades = np.rint(np.nan_to_num(place) * (_SHADES - 1)).astype(int)
    for shade in range(_SHADES):
        columns = np.flatnonzero((shades == shade) & (row.heights > 0))
        if columns.size:
            parts = (
                f"M{_LEFT + i} {y(0):.1f}V{y(row.heights[i]):.1f}h1V{y(0):.1f}z" for i in columns
            )
            yield _colour(shade / (_SHADES - 1)), "".join(parts)


def _colour(place: float) -> str:
    """From clean (0) to dirty (1)."""
    stops = [stop for stop, _ in CLEAN_TO_DIRTY]
    channels = [[int(name[i : i + 2], 16) for _, name in CLEAN_TO_DIRTY] for i in (1, 3, 5)]
    return "#" + "".join(f"{round(float(np.interp(place, stops, one))):02x}" for one in channels)


def _scale(axis: _Axis) -> Iterator[str]:
    """What the colours mean."""
    width, right = 96, _LEFT + _WIDTH - 74
    for i in range(_SHADES):
        x = right - width + i * width / _SHADES
        yield f'<rect x="{x:g}" y="15" width="4" height="10" fill="{_colour(i / (_SHADES - 1))}"/>'
    low, high = f"{axis.low:.0f}", f"{axis.high:.0f} g/kWh"
    yield f'<text class="faint" x="{right - width - 6}" y="24" text-anchor="end">{low}</text>'
    yield f'<text class="faint" x="{right + 6}" y="24">{high}</text>'


def _dates(axis: _Axis, height: float) -> Iterator[str]:
    for at in axis.days():
        x = axis.x(at)
        label = datetime.fromtimestamp(at, UTC).strftime("%a %d %b")
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{height - 26}"/>'
        if x < _LEFT + _WIDTH - 60:
            yield f'<text class="faint" x="{x + 3:.1f}" y="{height - 12}">{label}</text>'
    yield f'<text class="faint" x="{_LEFT + _WIDTH}" y="{height - 12}" text-anchor="end">UTC</text>'


def _round_up(value: float) -> float:
    """To two digits, so that the axis ends at a number that reads well."""
    if value <= 0:
        return 1.0
    unit: float = 10.0 ** (np.floor(np.log10(value)) - 1) * 5
    return float(np.ceil(value / unit) * unit)
