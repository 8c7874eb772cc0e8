"""A real cluster with two kinds of nodes in two partitions: csbatch places jobs between them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from lab import Lab, LabPartition
from stack.stack import DAEMON
from trial import ADA, LEASE_S, Grid, Trial

pytestmark = pytest.mark.cluster
BOTH = "--carbon-partitions=hungry,frugal"
NOW = "--carbon-now"
JOB = ("--time=1", "-n2", "--wrap", "sleep 2")
# By their declarations a CPU draws 10 W above idle on the frugal node, 40 W on the hungry one. Idle
# they draw little: Slurm tells a run in whole seconds, and of a short one that is a guess at idle.
FRUGAL_W, HUNGRY_W = (10.0, 90.0), (20.0, 340.0)
BURN = "end=$(($(date +%s) + 7)); while [ $(date +%s) -lt $end ]; do :; done"
EITHER = f"if [ $SLURM_JOB_PARTITION = frugal ]; then {BURN}; else sleep 7; fi"


@pytest.fixture(scope="module")
def kinds(lab_folder, programs):
    """The cluster, with a partition that is closed and one for short jobs, and the daemon."""
    folder = lab_folder / "kinds"
    folder.mkdir(mode=0o755)
    config = replace(
        Trial.config(folder / "lab", programs),
        nodes=2,
        partitions=(
            LabPartition(name="frugal", nodes=(0,)),
            LabPartition(name="hungry", nodes=(1,)),
            LabPartition(name="closed", nodes=(0,), state="DOWN"),
            LabPartition(name="short", nodes=(0,), max_time="1"),
        ),
    )
    with Lab.started(config) as lab:
        watts = (FRUGAL_W, HUNGRY_W)
        yield Trial(lab, programs, Grid(folder / "grid"), node_watts=watts)


def submit(kinds, *words):
    """The job's partition as Slurm has it, its id, and csbatch's lines."""
    job, told = kinds.csbatch(ADA, *words)
    said = [line.removeprefix("csbatch: ") for line in told.splitlines()]
    return kinds.shown(job, "Partition"), job, said


def milligrams(line, name):
    """What csbatch tells of a partition."""
    found = re.search(rf"(?:^|[ ;]){name}[:,][^;]*? about ([0-9.]+) (m?)g", line)
    assert found, line
    return float(found[1]) * (1 if found[2] else 1000)


def test_the_frugal_nodes_are_chosen(kinds):
    partition, job, said = submit(kinds, BOTH, NOW, *JOB)
    assert partition == "frugal"
    by = "by the power declared for its nodes"
    pattern = (
        f"partition frugal, it emits least there: about [0-9]+ mg starting now, {by};"
        f" hungry: about [0-9]+ mg starting now, {by}"
    )
    assert re.fullmatch(pattern, said[0]), said
    # The formula: 2 CPUs, half of the time limit, 600 g/kWh, PUE 1.25.
    assert milligrams(said[0], "frugal") == pytest.approx(2 * 10 * 30 * 600 * 1.25 / 3600, abs=2)
    assert milligrams(said[0], "hungry") == pytest.approx(4 * milligrams(said[0], "frugal"), abs=4)
    kinds.wait_state(job, "RUNNING", "COMPLETED")
    assert kinds.shown(job, "NodeList") == kinds.lab.nodes[0]


def test_partitions_that_cannot_take_the_job_are_told_with_the_reason(kinds):
    names = "--carbon-partitions=closed,short,fast,hungry"
    partition, _, said = submit(kinds, names, NOW, "--time=2", "-n1", "--wrap", "true")
    assert partition == "hungry"
    assert said[0].startswith("partition hungry, the only one that can take the job: about ")
    assert said[0].endswith(
        "; closed: it is DOWN; short: the job's time limit 00:02:00 is beyond its 00:01:00;"
        " fast: cluster lab has no such partition"
    )


def test_the_owners_own_partition_is_left_alone(kinds):
    partition, _, said = submit(kinds, BOTH, NOW, "-p", "hungry", *JOB)
    assert partition == "hungry"
    assert said[0] == "--partition=hungry is given, so no partition is chosen"


def test_where_the_frugal_nodes_are_full_beyond_the_latest_start(kinds):
    long = kinds.sbatch(ADA, "-p", "frugal", "-n8", "--time=60", "--wrap", "sleep 600")
    try:
        kinds.wait_state(long, "RUNNING")
        kinds.until(lambda: kinds.queued(long).get("state") == "RUNNING", "the daemon to see it")
        partition, _, said = submit(kinds, BOTH, "--carbon-max-delay=20s", *JOB)
    finally:
        kinds.lab.slurm("scancel", str(long))
    assert partition == "hungry"
    assert said[0].startswith(
        "partition hungry, the only one with room by its latest start: about "
    )
    assert re.search(r"frugal: about [0-9]+ mg starting in 00:[0-9:]+, later than it may", said[0])


def test_history_counts_before_what_is_declared(kinds):
    """The same job burns its CPUs on the frugal node, and sleeps on the hungry one."""
    frugal, hungry = kinds.lab.nodes
    jobs = {
        kinds.csbatch(ADA, NOW, "-p", where, "-Jtrain", "--time=1", "-n2", "--wrap", EITHER)[
            0
        ]: node
        for where, node in (("frugal", frugal), ("hungry", hungry))
        for _ in range(3)
    }
    for job, node in jobs.items():
        (row,) = kinds.settled(job)
        assert row["quality"] == "modelled"
        assert {one["node"] for one in row["evidence"]} == {node}
    partition, _, said = submit(kinds, BOTH, NOW, "-Jtrain", "--time=1", "-n2", "--wrap", EITHER)
    assert partition == "hungry"
    assert said[0].count("by 3 earlier jobs there") == 2
    assert 2 * milligrams(said[0], "hungry") < milligrams(said[0], "frugal")


def test_without_the_daemon_slurm_takes_one_of_them(kinds):
    kinds.lab.processes.stop(DAEMON)
    try:
        partition, job, said = submit(kinds, BOTH, *JOB)
    finally:
        kinds.lab.processes.restart(DAEMON)
        kinds.stack.wait_daemon()
    assert partition == "hungry,frugal"
    (warning,) = said
    assert warning.startswith("warning: no partition is chosen and no plan made: the carbonsched")
    assert warning.endswith(
        "; Slurm takes one of all that were named (--partition=hungry,frugal), and it starts when"
        f" its lease of {LEASE_S} s ends"
    )
    kinds.lab.slurm("scancel", str(job))
