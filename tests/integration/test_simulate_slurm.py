"""``carbonsched simulate --slurm`` on a real cluster: an array of tiny scenarios."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster
USER = "carbon-ada"
HOUR = 3600
START = 1_700_002_800  # a whole hour

HEAD = """name: {name}
start: '2023-11-14T23:00:00Z'
end: '2023-11-15T23:00:00Z'
clusters:
- {{name: main, zone: DE, nodes: 4, idle_w: 100, active_w: 400}}
"""
JOBS = (
    "job_id,user,submit,nodes,requested_s,runtime_s,max_delay_s,power_w,checkpointable,checkpoint_s"
)


@pytest.fixture(scope="module")
def scenarios(lab):
    """Two folders of three jobs each, in a home that all nodes share; hour 5 is clean."""
    home = lab.home(USER)
    for name in ("summer", "winter"):
        folder = home / name
        folder.mkdir()
        (folder / "scenario.yaml").write_text(HEAD.format(name=name))
        rows = [f"{n},u,{START + n},1,{HOUR},{HOUR},{12 * HOUR},300,0,0" for n in range(3)]
        (folder / "jobs.csv").write_text("\n".join([JOBS, *rows, ""]))
        grid = [(START + hour * HOUR, 100 if hour == 5 else 400) for hour in range(96)]
        rows = [f"DE,{at},{HOUR},{grams}" for at, grams in grid]
        (folder / "intensity.csv").write_text("\n".join(["zone,time,step_s,g_per_kwh", *rows, ""]))
        rows = [f"DE,{START},{at},{HOUR},{grams}" for at, grams in grid]
        head = "zone,issued,time,step_s,g_per_kwh"
        (folder / "forecasts.csv").write_text("\n".join([head, *rows, ""]))
    return ("summer", "winter")


def simulate(lab, *arguments, check=True):
    command = ["carbonsched", "simulate", *arguments]
    return lab.run_as(USER, command, check=check)


def test_scenarios_and_policies_are_tasks_of_one_array(lab, scenarios):
    done = simulate(
        lab, *scenarios, "--policy", "lowest-window", "--slurm", "--out", "results", "--json",
        "--slurm-time=2", "--slurm-options=--account=physics --comment=tiny",
    )  # fmt: skip
    told = {one["scenario"]: one["policies"] for one in json.loads(done.stdout)}
    assert set(told) == set(scenarios)
    for rows in told.values():
        assert [(row["policy"], round(row["saving"], 2)) for row in rows] == [
            ("immediate", 0),
            ("lowest-window", 0.75),
        ]
    assert (lab.home(USER) / "results" / "winter" / "lowest-window" / "schedule.csv").is_file()
    columns = ["sacct", "-X", "-n", "-P", "-o", "JobName,Comment,TimelimitRaw,State"]

    def rows_of_tasks():
        lines = lab.slurm(*columns, "-u", USER).splitlines()
        return [line.split("|")[1:] for line in lines if line.startswith("carbonsched-simulate")]

    lab.wait_until(lambda: len(rows_of_tasks()) == 4, "the rows of four tasks", 20)
    lab.wait_until(
        lambda: all(row == ["tiny", "2", "COMPLETED"] for row in rows_of_tasks()),
        "four tasks that completed within their limit",
        20,
    )


def test_a_task_that_fails_is_named_with_its_log(lab, scenarios):
    folder = lab.home(USER) / "more" / "summer" / "lowest-window"
    (folder / "schedule.csv").mkdir(parents=True)
    lab.run_as("root", ["chown", "-R", f"{USER}:", str(lab.home(USER) / "more")])
    done = simulate(
        lab, "summer", "--policy", "lowest-window", "--slurm", "--out", "more", check=False
    )
    assert done.returncode == 69
    assert "immediate" in done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith("carbonsched simulate: summer, lowest-window: the task failed, see ")
    assert "schedule.csv: Is a directory" in Path(last.split()[-1]).read_text()
