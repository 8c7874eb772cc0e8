"""Small scenarios: hours of intensity and jobs by what matters of them."""

from __future__ import annotations

import shutil

import pytest

from carbonsched.model.intensity import Forecast, Point, SeriesInfo, StepSeries
from carbonsched.sim.files import EXAMPLE, scenario_folder
from carbonsched.sim.scenario import Scenario, SimCluster, SimJob

HOUR = 3600
START = 1_700_000_000 // HOUR * HOUR


def made_job(name: str = "a", submit_s: int = 0, runtime_s: int = HOUR, **more) -> SimJob:
    values = {
        "user": "u",
        "nodes": 1,
        "requested_s": 2 * runtime_s,
        "max_delay_s": 24 * HOUR,
        "power_w": 1000,
        **more,
    }
    return SimJob(job_id=name, submit_at=START + submit_s, runtime_s=runtime_s, **values)


def hours(grams, at: int = START) -> tuple[Point, ...]:
    return tuple(
        Point(at + HOUR * i, at + HOUR * (i + 1), round(1000 * one)) for i, one in enumerate(grams)
    )


def made_place(
    jobs, grams, clusters=(("main", "DE", 4),), forecasts=(), start_at: int = START
) -> Scenario:
    """``grams`` are those of each zone, hour by hour; ``forecasts`` pairs of issue and hours."""
    by_zone = grams if isinstance(grams, dict) else {"DE": grams}
    issues = tuple(
        Forecast(info=SeriesInfo(provider="test", zone="DE"), issued_at=at, points=hours(ahead, at))
        for at, ahead in forecasts
    )
    return Scenario(
        name="small",
        start_at=start_at,
        end_at=start_at + 24 * HOUR,
        clusters=tuple(SimCluster(name=n, zone=z, nodes=count) for n, z, count in clusters),
        jobs=tuple(jobs),
        intensity={zone: StepSeries(hours(some, start_at)) for zone, some in by_zone.items()},
        forecasts={"DE": issues},
    )


@pytest.fixture(scope="session")
def job():
    return made_job


@pytest.fixture(scope="session")
def place():
    return made_place


@pytest.fixture
def short(tmp_path):
    """The example's first jobs under another name: its folder."""

    def made(name: str = "short", jobs: int = 8) -> str:
        folder = tmp_path / name
        shutil.copytree(scenario_folder(EXAMPLE), folder)
        lines = (folder / "jobs.csv").read_text().splitlines()[: jobs + 1]
        (folder / "jobs.csv").write_text("\n".join([*lines, ""]))
        head = (folder / "scenario.yaml").read_text()
        (folder / "scenario.yaml").write_text(head.replace("name: example", f"name: {name}"))
        return str(folder)

    return made
