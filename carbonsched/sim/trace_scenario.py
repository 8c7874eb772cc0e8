"""A scenario out of a trace, recorded intensity and recorded forecasts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from pathlib import Path
from typing import TypeVar

import numpy as np

from carbonsched.errors import RequestError
from carbonsched.forecasting import HOUR_S, Hourly
from carbonsched.intensity.recorded import Key, read_actual, read_issues
from carbonsched.model.intensity import Forecast, Point, SeriesInfo, StepSeries
from carbonsched.sim.scenario import Scenario, SimCluster, SimJob
from carbonsched.sim.trace import TraceJob

_Series = TypeVar("_Series")
_DAY_S = 86_400
_HALF_HOUR_S = 1800
_UNKNOWN_REQUEST = 2  # times the run time


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """What a trace does not say.

    ``start`` moves the trace so that its first day is that one, days being those of ``time_zone``.
    A job that tells processors only has as many nodes as hold them at ``cpus_per_node``.
    """

    nodes: int
    zone: str
    basis: str | None = None
    start: date | None = None
    days: int | None = None
    max_delay_s: int = _DAY_S
    power_w: int = 300
    cpus_per_node: int = 1
    time_zone: tzinfo = UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What occurred in a zone, and what had been forecast."""

    actual: StepSeries
    forecasts: tuple[Forecast, ...] = ()


def read_grid(actual: Path, forecasts: Path | None, options: TraceOptions) -> Grid:
    """A zone's recorded hours, and its forecasts as issued.

    Raises:
        RequestError: unreadable, or not one series of that zone; one line.
    """
    hours = _one(read_actual(actual), actual, options)
    issues: tuple[Forecast, ...] = ()
    if forecasts is not None:
        info = SeriesInfo(provider="recorded", zone=options.zone, note=forecasts.name)
        found = _one(read_issues(forecasts), forecasts, options).issues
        made = (
            Forecast(info=info, issued_at=one.issued_at, points=_points(one.hours)) for one in found
        )
        issues = tuple(one for one in made if one.points)
    return Grid(actual=StepSeries(_points(hours)), forecasts=issues)


def _one(found: dict[Key, _Series], path: Path, options: TraceOptions) -> _Series:
    """The series of zone and basis; a file that names none has one for any."""
    ours = {
        key: series
        for key, series in found.items()
        if key[0] in ("", options.zone) and (options.basis is None or key[1] in ("", options.basis))
    }
    if len(ours) == 1:
        return next(iter(ours.values()))
    if ours:
        bases = ", ".join(basis for _, basis in ours)
        raise RequestError(f"{path}: {options.zone} has several bases; --basis is one of {bases}")
    there = ", ".join(sorted({" ".join(key).strip() for key in found}))
    raise RequestError(f"{path}: nothing about zone {options.zone}; it has: {there}")


def _points(hours: Hourly) -> tuple[Point, ...]:
    return tuple(
        Point(
            hours.start_at + HOUR_S * index,
            hours.start_at + HOUR_S * (index + 1),
            round(1000 * float(value)),
        )
        for index, value in enumerate(hours.values)
        if np.isfinite(value)
    )


def build(
    name: str, trace: Sequence[TraceJob], grid: Grid, options: TraceOptions
) -> tuple[Scenario, list[str]]:
    """The scenario of a trace, and a line for each thing that was assumed or left out.

    Raises:
        RequestError: no job is left, or the intensity does not cover the trace.
    """
    jobs, notes = _jobs(trace, options)
    _check_cover(jobs, grid.actual)
    scenario = Scenario(
        name=name,
        start_at=_midnight(jobs[0].submit_at, options.time_zone),
        end_at=_midnight(jobs[-1].submit_at, options.time_zone) + _DAY_S,
        clusters=(SimCluster(name="main", zone=options.zone, nodes=options.nodes),),
        jobs=tuple(jobs),
        intensity={options.zone: grid.actual},
        forecasts={options.zone: grid.forecasts},
    )
    if not grid.forecasts:
        notes.append("no forecasts (--forecasts FILE): no policy has anything to defer by")
    return scenario, notes


def _jobs(trace: Sequence[TraceJob], options: TraceOptions) -> tuple[list[SimJob], list[str]]:
    first_at = _midnight(trace[0].submit_at, options.time_zone)
    moved_s = 0
    if options.start is not None:
        wanted = datetime.combine(options.start, time(), options.time_zone)
        moved_s = int(wanted.timestamp()) - first_at
    until_at = math.inf if options.days is None else first_at + options.days * _DAY_S
    chosen = [job for job in trace if job.submit_at < until_at]
    jobs = [_job(job, moved_s, options) for job in chosen]
    fitting = [job for job in jobs if job.nodes <= options.nodes]
    if not fitting:
        raise RequestError(
            f"every job is wider than {options.nodes} nodes; give more --nodes, or --cpus-per-node"
        )
    notes = []
    if len(fitting) < len(jobs):
        wider = len(jobs) - len(fitting)
        notes.append(f"left out: {wider} of {len(jobs)} jobs, wider than {options.nodes} nodes")
    unknown = sum(job.requested_s is None for job in chosen)
    if unknown:
        notes.append(
            f"request unknown: {unknown} of {len(jobs)} jobs; taken as twice the run time, in"
            " half-hours"
        )
    delay_h = options.max_delay_s / 3600
    notes.append(f"assumed: {options.power_w} W for each node of a job, delays up to {delay_h:g} h")
    return fitting, notes


def _job(job: TraceJob, moved_s: int, options: TraceOptions) -> SimJob:
    doubled_s = -(-_UNKNOWN_REQUEST * job.runtime_s // _HALF_HOUR_S) * _HALF_HOUR_S
    return SimJob(
        job_id=job.job_id,
        user=job.user,
        submit_at=job.submit_at + moved_s,
        nodes=job.nodes or -(-(job.cpus or 1) // options.cpus_per_node),
        requested_s=max(job.runtime_s, job.requested_s or doubled_s),
        runtime_s=job.runtime_s,
        max_delay_s=options.max_delay_s,
        power_w=options.power_w,
    )


def _midnight(at: int, zone: tzinfo) -> int:
    day = datetime.fromtimestamp(at, zone).date()
    return int(datetime.combine(day, time(), zone).timestamp())


def _check_cover(jobs: Sequence[SimJob], actual: StepSeries) -> None:
    """The end is only known when the jobs have been simulated; this is the least."""
    first_at, last_at = jobs[0].submit_at, max(job.submit_at + job.runtime_s for job in jobs)
    begins_at, ends_at = actual.points[0].start_at, actual.points[-1].end_at
    if first_at < begins_at or last_at > ends_at:
        raise RequestError(
            f"jobs run from {_day(first_at)} to {_day(last_at)}, the intensity is known from"
            f" {_day(begins_at)} to {_day(ends_at)}; --start DATE moves the trace, --days N cuts it"
        )


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
