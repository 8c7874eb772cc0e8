"""Reading a scenario folder and writing a schedule."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from carbonsched.errors import RequestError
from carbonsched.model.intensity import Forecast, Point, SeriesInfo, StepSeries
from carbonsched.sim.scenario import Run, Scenario, SimCluster, SimJob

EXAMPLE = "example"
_JOB_COLUMNS = {
    "submit": "submit_at",
    "nodes": "nodes",
    "requested_s": "requested_s",
    "runtime_s": "runtime_s",
    "max_delay_s": "max_delay_s",
    "power_w": "power_w",
    "checkpointable": "checkpointable",
    "checkpoint_s": "checkpoint_s",
}


def scenario_folder(name: str) -> Path:
    """The folder itself, or the one that is shipped under the name ``example``."""
    folder = Path(name)
    if folder.is_dir():
        return folder
    if name == EXAMPLE:
        return Path(str(files("carbonsched.sim").joinpath(EXAMPLE)))
    raise RequestError(f"{name}: no such scenario folder; 'example' names the one that is shipped")


def read_scenario(folder: Path) -> Scenario:
    """Read a scenario folder.

    Raises:
        RequestError: something is absent or wrong; one line that names the file and the fault.
    """
    head = _head(folder / "scenario.yaml")
    try:
        scenario = Scenario(
            name=str(head["name"]),
            start_at=_instant(head["start"]),
            end_at=_instant(head["end"]),
            clusters=tuple(
                SimCluster(name=str(one["name"]), zone=str(one["zone"]), nodes=int(one["nodes"]))
                for one in head["clusters"]
            ),
            jobs=_jobs(folder / "jobs.csv"),
            intensity=_intensity(folder / "intensity.csv"),
            forecasts=_forecasts(folder / "forecasts.csv"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{folder / 'scenario.yaml'}: {_fault(error)}") from None
    _check(scenario, folder)
    return scenario


def write_schedule(runs: Iterable[Run], path: Path) -> None:
    """Write ``job_id, cluster, start, end``, one line per run, in the order of the trace."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("job_id", "cluster", "start", "end"))
        for run in runs:
            writer.writerow((run.job.job_id, run.cluster.name, run.start_at, run.end_at))


def read_schedule(path: Path, scenario: Scenario) -> list[Run]:
    """Read a schedule of the scenario's jobs."""
    jobs = {job.job_id: job for job in scenario.jobs}
    clusters = {cluster.name: cluster for cluster in scenario.clusters}
    table = _table(path, {"job_id": "str", "cluster": "str", "start": "int64", "end": "int64"})
    try:
        return [
            Run(
                job=jobs[row["job_id"]],
                cluster=clusters[row["cluster"]],
                start_at=row["start"],
                end_at=row["end"],
            )
            for row in table.to_dict("records")
        ]
    except KeyError as error:
        raise RequestError(f"{path}: {error.args[0]} is not in scenario {scenario.name}") from None


def _head(path: Path) -> dict[str, Any]:
    try:
        head = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}; a scenario folder has one") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(head, dict):
        raise RequestError(f"{path}: expected name, start, end and clusters")
    return head


def _instant(value: object) -> int:
    at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return int(at.replace(tzinfo=at.tzinfo or UTC).timestamp())


def _table(path: Path, types: dict[str, str]) -> pd.DataFrame:
    """The columns named, of these types, without a missing value."""
    try:
        return pd.read_csv(path, usecols=list(types), dtype=types, keep_default_na=False)
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}; a scenario folder has one") from None
    except (ValueError, TypeError) as error:
        raise RequestError(f"{path}: {' '.join(str(error).split())}") from None


def _jobs(path: Path) -> tuple[SimJob, ...]:
    types = {"job_id": "str", "user": "str", **dict.fromkeys(_JOB_COLUMNS, "int64")}
    table = _table(path, types).rename(columns=_JOB_COLUMNS)
    jobs = []
    for row in table.to_dict("records"):
        row["checkpointable"] = row["checkpointable"] == 1
        job = SimJob(**{str(name): value for name, value in row.items()})
        least = min(job.max_delay_s, job.power_w, job.checkpoint_s)
        if not (job.nodes >= 1 and 1 <= job.runtime_s <= job.requested_s and least >= 0):
            raise RequestError(
                f"{path}: job {job.job_id} needs a node, a run time from 1 s to what it requested,"
                " and no negative delay, power or checkpoint"
            )
        jobs.append(job)
    jobs.sort(key=lambda one: one.submit_at)
    if len({job.job_id for job in jobs}) != len(jobs):
        raise RequestError(f"{path}: a job_id appears twice")
    return tuple(jobs)


_SERIES = {"zone": "str", "time": "int64", "step_s": "int64", "g_per_kwh": "float64"}


def _intensity(path: Path) -> dict[str, StepSeries]:
    table = _table(path, _SERIES)
    try:
        return {
            str(zone): StepSeries(_points(part)) for zone, part in table.groupby("zone", sort=True)
        }
    except ValueError as error:
        raise RequestError(f"{path}: {error}") from None


def _forecasts(path: Path) -> dict[str, tuple[Forecast, ...]]:
    table = _table(path, {**_SERIES, "issued": "int64"})
    by_zone: dict[str, list[Forecast]] = {}
    try:
        for (zone, _), part in table.groupby(["zone", "issued"], sort=True):
            points = _points(part)
            StepSeries(points)  # its checks of order and overlap
            info = SeriesInfo(provider="scenario", zone=str(zone), note=path.parent.name)
            forecast = Forecast(info=info, issued_at=int(part["issued"].iloc[0]), points=points)
            by_zone.setdefault(str(zone), []).append(forecast)
    except ValueError as error:
        raise RequestError(f"{path}: {error}") from None
    return {zone: tuple(issues) for zone, issues in by_zone.items()}


def _points(part: pd.DataFrame) -> tuple[Point, ...]:
    ordered = part.sort_values("time")
    columns = (ordered["time"].tolist(), ordered["step_s"].tolist(), ordered["g_per_kwh"].tolist())
    return tuple(
        Point(at, at + step_s, round(1000 * grams))
        for at, step_s, grams in zip(*columns, strict=True)
    )


def _check(scenario: Scenario, folder: Path) -> None:
    """What no part alone can tell."""
    if not scenario.clusters or not scenario.jobs:
        raise RequestError(f"{folder}: a scenario has at least one cluster and one job")
    if len({cluster.name for cluster in scenario.clusters}) != len(scenario.clusters):
        raise RequestError(f"{folder / 'scenario.yaml'}: two clusters have one name")
    for cluster in scenario.clusters:
        if cluster.zone not in scenario.intensity:
            raise RequestError(f"{folder / 'intensity.csv'}: nothing about zone {cluster.zone}")
    widest = max(cluster.nodes for cluster in scenario.clusters)
    for job in scenario.jobs:
        if job.nodes > widest:
            raise RequestError(
                f"{folder / 'jobs.csv'}: job {job.job_id} is wider than every cluster"
            )


def _fault(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return str(error)
