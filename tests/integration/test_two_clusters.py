"""Two real clusters under one slurmdbd, in two grid zones: csbatch places jobs between them."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest
from lab import Lab
from stack import OtherCluster
from stack.stack import DAEMON
from trial import ADA, CLEAN, DIRTY, LEASE_S, Grid, Trial

pytestmark = pytest.mark.cluster
BOTH = "--carbon-clusters=lab,north"
NOW = "--carbon-now"
JOB = ("--time=1", "-n2", "--wrap", "sleep 3")


@pytest.fixture(scope="module")
def two(lab_folder, programs):
    """The clusters, their zones' grids, and the daemon that serves both."""
    folder = lab_folder / "two"
    folder.mkdir(mode=0o755)
    grids = {"lab": Grid(folder / "grid-lab"), "north": Grid(folder / "grid-north")}
    config = replace(Trial.config(folder / "lab", programs), nodes=1)
    beside = replace(config, directory=folder / "north", cluster="north", beside=config.directory)
    with Lab.started(config) as lab, Lab.started(beside) as north:
        others = [OtherCluster(lab=north, zone="SE", intensity_files=folder / "grid-north")]
        trial = Trial(lab, programs, grids["lab"], others=others)
        yield SimpleNamespace(trial=trial, labs={"lab": lab, "north": north}, grids=grids)


def levels(two, **g_per_kwh):
    """Each zone's level from now on, known to the daemon."""
    for name, level in g_per_kwh.items():
        two.grids[name].plateau(level=level)
    known_by_daemon(two)


def known_by_daemon(two):
    newest = (
        "SELECT zone, MAX(issued_at) AS at FROM forecasts"
        " JOIN series ON series_id = series.id GROUP BY zone"
    )

    def told():
        at = {row["zone"]: row["at"] for row in two.trial.select(newest)}
        issued = {"DE": two.grids["lab"].issued_at, "SE": two.grids["north"].issued_at}
        return all(at.get(zone, 0) >= issued_at for zone, issued_at in issued.items())

    two.trial.until(told, "both forecasts in the archive")


def submit(two, *words):
    """What csbatch printed on both outputs, as lines."""
    done = two.trial.stack.run(ADA, "csbatch", *words)
    said = [line.removeprefix("csbatch: ") for line in done.stderr.splitlines()]
    return done.stdout, said


def weighed(line, chosen, other, when=" now"):
    """The milligrams on both, as csbatch tells them."""
    pattern = (
        f"cluster {chosen}, it emits least there: about ([0-9]+) mg starting{when};"
        f" {other}: about ([0-9]+) mg starting now"
    )
    found = re.fullmatch(pattern, line)
    assert found, line
    return int(found[1]), int(found[2])


def settled(two, cluster, job_id):
    """The job's only row, once it is final. Both clusters count their jobs from 1."""

    def found():
        rows = [row for row in two.trial.rows(job_id) if row["cluster"] == cluster]
        return [row for row in rows if row["started_at"] is not None and not row["provisional"]]

    two.trial.until(found, f"job {job_id} of {cluster} to be settled", 90)
    (row,) = found()
    return row


def check(two, cluster, row):
    """Metered on a node of that cluster, charged by the intensity of its zone, once."""
    assert row["evidence"]
    assert {one["node"] for one in row["evidence"]} <= set(two.labs[cluster].nodes)
    for one in row["evidence"]:
        assert one["g_per_kwh"] == two.grids[cluster].level(one["start_at"])
    exact = sum(
        Decimal(one["energy_j"]) * Decimal(str(one["g_per_kwh"])) * Decimal("1.25") / 3600
        for one in row["evidence"]
    )
    assert row["mg"] == pytest.approx(exact, abs=Decimal("0.6"))
    charged = two.trial.one(
        "SELECT SUM(mg) AS mg, SUM(energy_j) AS energy_j FROM entries WHERE cluster = :cluster"
        " AND job_id = :job_id AND submitted_at = :submitted_at AND kind IN ('charge', 'adjust')",
        cluster=cluster, job_id=row["job_id"], submitted_at=row["submitted_at"],
    )  # fmt: skip
    assert charged == {"mg": row["mg"], "energy_j": row["energy_j"]}
    assert row["energy_j"] > 0


@pytest.fixture(scope="module")
def jobs(two):
    """Outputs of submissions, first while north's zone is clean, then while the lab's is."""
    levels(two, lab=DIRTY, north=CLEAN)
    outputs = {
        "north": submit(two, BOTH, NOW, *JOB),
        "owner's": submit(two, BOTH, NOW, "-M", "lab", *JOB),
    }
    levels(two, lab=CLEAN, north=DIRTY)
    return outputs | {"lab": submit(two, "--carbon-clusters=any", NOW, *JOB)}


@pytest.mark.parametrize(("clean", "dirty"), [("north", "lab"), ("lab", "north")])
def test_the_job_runs_and_is_charged_where_it_emits_least(two, jobs, clean, dirty):
    stdout, said = jobs[clean]
    found = re.fullmatch(rf"Submitted batch job (\d+) on cluster {clean}\n", stdout)
    assert found, stdout
    here, there = weighed(said[0], clean, dirty)
    assert there == pytest.approx(3 * here, abs=3)
    # It may have started before the daemon was told, and then has no plan.
    assert any(line.startswith("predicted from ") for line in said[1:])
    row = settled(two, clean, int(found[1]))
    check(two, clean, row)
    assert row["quality"] == "modelled"


def test_the_owners_own_cluster_is_left_alone(two, jobs):
    stdout, said = jobs["owner's"]
    job = int(re.fullmatch(r"Submitted batch job (\d+) on cluster lab\n", stdout)[1])
    assert said[0] == "--clusters=lab is given, so no cluster is chosen"
    check(two, "lab", settled(two, "lab", job))


def test_a_deferral_is_weighed_and_carried_out_on_the_other_cluster(two):
    two.grids["lab"].plateau(level=(CLEAN + DIRTY) // 2)
    valley_at = two.grids["north"].valley(in_s=14)
    known_by_daemon(two)
    stdout, said = submit(two, BOTH, "--carbon-max-delay=1min", "--parsable", *JOB)
    job, cluster = stdout.strip().split(";")
    assert cluster == "north"
    here, there = weighed(said[0], "north", "lab", " in 00:00:[0-9]{2}")
    assert here < there
    row = settled(two, "north", int(job))
    assert valley_at <= row["started_at"] <= valley_at + 3
    check(two, "north", row)


def test_a_cluster_that_is_away_is_not_chosen(two):
    levels(two, lab=DIRTY, north=CLEAN)
    north = two.labs["north"]
    north.processes.stop("slurmctld")
    try:
        stdout, said = submit(two, BOTH, NOW, *JOB)
    finally:
        north.restart_slurmctld()
    assert stdout.endswith(" on cluster lab\n")
    assert said[0].startswith("cluster lab, the only one that can take the job: about ")
    assert "north: it does not answer: sinfo: " in said[0]


def test_without_the_daemon_the_default_cluster_takes_the_job(two):
    trial = two.trial
    trial.lab.processes.stop(DAEMON)
    try:
        stdout, said = submit(two, BOTH, *JOB)
    finally:
        trial.lab.processes.restart(DAEMON)
        trial.stack.wait_daemon()
    job = int(re.fullmatch(r"Submitted batch job (\d+)\n", stdout)[1])
    (warning,) = said
    assert warning.startswith("warning: no cluster is chosen and no plan made: the carbonsched")
    assert warning.endswith(f"and it starts when its lease of {LEASE_S} s ends")
    check(two, "lab", settled(two, "lab", job))
