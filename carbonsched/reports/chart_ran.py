"""The picture people show: the grid's intensity over time, and each job as a bar below it."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from carbonsched.reports.chart_parts import CLEAN_TO_DIRTY, UNKNOWN, Figure, TimeAxis, job_start
from carbonsched.reports.documents import IntensityStep, JobRow, ReportDocument
from carbonsched.reports.terminal import clean, cut
from carbonsched.units import format_duration, format_energy, format_mass

_MAX_LANES = 60


def when_jobs_ran(document: ReportDocument) -> Figure | None:
    """The grid's intensity, and below it the jobs as bars coloured by the intensity they met."""
    steps = document["intensity"]
    jobs = [job for job in document["jobs"] if job["started_at"] is not None]
    if not steps and not jobs:
        return None
    axis = TimeAxis(document)
    lanes = _lanes(jobs, document["generated_at"])
    count = max(lanes, default=-1) + 1
    traces = [_intensity(steps, axis)] if steps else []
    placed = list(zip(jobs, lanes, strict=True))
    if any(job["deferred_s"] for job in jobs):
        traces.append(_waits(placed, axis))
    if jobs:
        traces.append(_bars(placed, axis, document["generated_at"], _scale(steps, jobs)))
    jobs_px = min(360, max(60, 16 * count))
    total_px = 200 + jobs_px + 90
    jobs_part = jobs_px / (200 + jobs_px)
    layout = {
        "height": total_px,
        "barmode": "overlay",
        "showlegend": False,
        "margin": {"l": 56, "r": 12, "t": 12, "b": 46},
        "hovermode": "closest",
        "xaxis": {
            "type": "date",
            "range": axis.range_of(jobs, steps),
            "anchor": "y2",
            "title": {"text": axis.label},
        },
        "yaxis": {
            "domain": [jobs_part + 0.06, 1],
            "rangemode": "tozero",
            "title": {"text": "g/kWh"},
            "nticks": 5,
        },
        "yaxis2": {
            "domain": [0, jobs_part],
            "range": [max(count, 2) - 0.3, -0.7],
            "showticklabels": False,
            "showgrid": False,
            "zeroline": False,
            "title": {"text": "jobs"},
        },
    }
    return {"data": traces, "layout": layout}


def _lanes(jobs: list[JobRow], now: int) -> list[int]:
    """A lane for each job so that none hides another: the first that is free again."""
    if not jobs:
        return []
    ends = [job["ended_at"] or now for job in jobs]
    gap = (max(ends) - min(job_start(job) for job in jobs)) // 200 + 1
    free_from: list[int] = []
    lanes = [0] * len(jobs)
    for index in sorted(range(len(jobs)), key=lambda one: (job_start(jobs[one]), one)):
        start = job_start(jobs[index])
        lane = next((at for at, free in enumerate(free_from) if free <= start), None)
        if lane is None:
            lane = len(free_from) if len(free_from) < _MAX_LANES else index % _MAX_LANES
            if lane == len(free_from):
                free_from.append(0)
        free_from[lane] = max(free_from[lane], ends[index] + gap)
        lanes[index] = lane
    return lanes


def _scale(steps: list[IntensityStep], jobs: list[JobRow]) -> tuple[float, float]:
    values = [step["g_per_kwh"] for step in steps]
    values += [job["g_per_kwh"] for job in jobs if job["g_per_kwh"] is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _colour(value: float, scale: tuple[float, float]) -> str:
    """Where a value lies between clean and dirty, between the stops around it."""
    place = min(1.0, max(0.0, (value - scale[0]) / (scale[1] - scale[0])))
    for (low, clean_end), (high, dirty_end) in pairwise(CLEAN_TO_DIRTY):
        if place <= high:
            mix = (place - low) / (high - low)
            channels = zip(_channels(clean_end), _channels(dirty_end), strict=True)
            return "#" + "".join(f"{round(a + (b - a) * mix):02x}" for a, b in channels)
    return CLEAN_TO_DIRTY[-1][1]


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _intensity(steps: list[IntensityStep], axis: TimeAxis) -> Figure:
    """Steps as a line that stays level for each period and breaks where nothing is known."""
    times: list[str] = []
    values: list[float | None] = []
    for index, step in enumerate(steps):
        times += [axis.write(step["start_at"]), axis.write(step["end_at"])]
        values += [step["g_per_kwh"]] * 2
        following = steps[index + 1]["start_at"] if index + 1 < len(steps) else None
        if following is not None and following > step["end_at"]:
            times.append(axis.write(step["end_at"]))
            values.append(None)
    low, high = _scale(steps, [])
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "grid",
        "x": times,
        "y": values,
        "line": {"width": 1.2},
        "fill": "tozeroy",
        "fillgradient": {
            "type": "vertical",
            "start": low,
            "stop": high,
            "colorscale": [list(stop) for stop in CLEAN_TO_DIRTY],
        },
        "meta": "outline",
        "hovertemplate": "%{x|%a %d %b %H:%M}: %{y:.0f} g/kWh<extra></extra>",
    }


def _waits(placed: list[tuple[JobRow, int]], axis: TimeAxis) -> Figure:
    times: list[str | None] = []
    lanes: list[int | None] = []
    for job, lane in placed:
        if job["deferred_s"] and job["started_at"] is not None:
            times += [axis.write(job_start(job)), axis.write(job["started_at"]), None]
            lanes += [lane, lane, None]
    return {
        "type": "scatter", "mode": "lines", "name": "waited", "x": times, "y": lanes,
        "yaxis": "y2", "line": {"width": 1.5, "dash": "dot"}, "meta": "muted", "hoverinfo": "skip",
    }  # fmt: skip


def _bars(
    placed: list[tuple[JobRow, int]], axis: TimeAxis, now: int, scale: tuple[float, float]
) -> Figure:
    starts = [job["started_at"] or now for job, _ in placed]
    lengths = [
        max(1, (job["ended_at"] or now) - start)
        for (job, _), start in zip(placed, starts, strict=True)
    ]
    met = [job["g_per_kwh"] for job, _ in placed]
    paint = {"color": [UNKNOWN if one is None else _colour(one, scale) for one in met]}
    return {
        "type": "bar",
        "orientation": "h",
        "name": "jobs",
        "base": [axis.write(start) for start in starts],
        "x": [1000 * length for length in lengths],
        "y": [lane for _, lane in placed],
        "yaxis": "y2",
        "width": 0.72,
        "marker": {**paint, "line": {**paint, "width": 1.2}},
        "customdata": [[_told(job)] for job, _ in placed],
        "hovertemplate": "%{customdata[0]}<extra></extra>",
        "textposition": "none",
    }


def _told(job: JobRow) -> str:
    """What a job's bar says; Plotly reads a few tags in it, so text is escaped."""
    met = "" if job["g_per_kwh"] is None else f" at {job['g_per_kwh']:.0f} g/kWh"
    lines = [
        f"<b>{escape(clean(job['shown_id']))} {escape(cut(clean(job['name']), 40))}</b>",
        f"{format_energy(job['energy_j'])}, {format_mass(job['mg'])}{met}",
        f"ran {format_duration(job['elapsed_s'])}",
    ]
    if job["deferred_s"]:
        saved = "" if job["saved_mg"] is None else f", saved {format_mass(job['saved_mg'])}"
        lines.append(f"waited {format_duration(job['deferred_s'])}{saved}")
    return "<br>".join(lines)
