from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from carbonsched.errors import RequestError
from carbonsched.sim.engine import Simulation
from carbonsched.sim.files import read_scenario, read_schedule, scenario_folder, write_schedule
from carbonsched.sim.generate import example_jobs
from carbonsched.sim.policies import ImmediatePolicy


@pytest.fixture
def folder(tmp_path):
    """The example, to be broken."""
    where = tmp_path / "scenario"
    shutil.copytree(scenario_folder("example"), where)
    return where


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_shipped_example_is_what_its_generator_makes():
    place = read_scenario(scenario_folder("example"))
    assert place.jobs == example_jobs(place.start_at)
    assert len(place.jobs) == 200


def test_only_issued_forecasts_are_seen():
    place = read_scenario(scenario_folder("example"))
    issues = place.forecasts["DE"]
    assert place.forecast("DE", issues[0].issued_at - 1) is None
    assert place.forecast("DE", issues[1].issued_at - 1) is issues[0]
    assert place.forecast("DE", issues[1].issued_at) is issues[1]
    assert place.forecast("XX", issues[1].issued_at) is None


def test_a_schedule_reads_back_as_it_was_written(tmp_path):
    place = read_scenario(scenario_folder("example"))
    runs = Simulation(place, ImmediatePolicy()).run()
    write_schedule(runs, tmp_path / "schedule.csv")
    assert read_schedule(tmp_path / "schedule.csv", place) == runs
    head, first, *_ = (tmp_path / "schedule.csv").read_text().splitlines()
    assert head == "job_id,cluster,start,end"
    run = runs[0]
    assert first == f"{run.job.job_id},main,{run.start_at},{run.end_at}"


def test_no_such_folder_names_the_one_that_is_shipped():
    with pytest.raises(RequestError, match="'example'"):
        scenario_folder("no/such/folder")


@pytest.mark.parametrize("name", ["scenario.yaml", "jobs.csv", "intensity.csv", "forecasts.csv"])
def test_an_absent_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(RequestError, match=name):
        read_scenario(folder)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("scenario.yaml", "name: example", "name: [", "not YAML"),
        ("scenario.yaml", "start: '2021-09-19T22:00:00Z'", "begin: 1", "start is missing"),
        ("scenario.yaml", "'2021-09-19T22:00:00Z'", "'soon'", "soon"),
        ("scenario.yaml", "zone: DE", "zone: XX", "nothing about zone XX"),
        ("scenario.yaml", "nodes: 48", "nodes: 1", "wider than every cluster"),
        ("scenario.yaml", "clusters:", "clusters:\n- {name: main, zone: DE, nodes: 9}", "one name"),
        ("jobs.csv", "runtime_s", "run", "runtime_s"),
        ("jobs.csv", ",0,0\n", ",0,-1\n", "no negative delay, power or checkpoint"),
        ("jobs.csv", "e001", "e000", "twice"),
        ("jobs.csv", ",0,0\n", ",,0\n", "jobs.csv"),
        ("intensity.csv", "DE,", "DE,x", "intensity.csv"),
        ("intensity.csv", ",3600,", ",7200,", "overlap"),
        ("intensity.csv", ",3600,", ",3600,-", "negative"),
        ("forecasts.csv", ",3600,", ",0,", "ends after it starts"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(folder, name, old, new, says):
    edit(folder / name, old, new)
    with pytest.raises(RequestError, match=says) as caught:
        read_scenario(folder)
    assert name in str(caught.value) or "wider" in says or "zone" in says
    assert "\n" not in str(caught.value)


def test_a_schedule_of_other_jobs_is_refused(tmp_path):
    place = read_scenario(scenario_folder("example"))
    (tmp_path / "s.csv").write_text("job_id,cluster,start,end\nzzz,main,1,2\n")
    with pytest.raises(RequestError, match="zzz"):
        read_schedule(tmp_path / "s.csv", place)
