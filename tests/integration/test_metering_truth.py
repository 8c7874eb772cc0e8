"""Real jobs on a real cluster, metered on hardware whose every joule is known.

The truth of a job is computed from the plant's log at a hundred steps a second: idle power by what
Slurm gave the job, dynamic power by its real control group's CPU time, GPUs by device.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from scene import say
from trial import ADA, BEN

pytestmark = pytest.mark.cluster

WORST = 0.01


@dataclass
class Asked:
    """A job as it was handed in: CPUs and memory on each of its nodes."""

    job_id: int
    cpus: int
    mem_mb: int
    halts: list[tuple[int, int]] = field(default_factory=list)


@pytest.fixture(scope="module")
def lost(metered):
    """Jobs of which the agent does not hear as it should: the folder of events is not there."""
    node = metered.lab.nodes[1]
    events = metered.lab.spool / node / "events"
    away = events.with_name("events.away")

    idle_ns = time.time_ns()  # ten seconds without jobs, from which agents learn idle power
    metered.until(lambda: time.time_ns() > idle_ns + 13 * 10**9, "idle nodes", 40)

    def spin(seconds):
        return metered.spinner(node, seconds, 0.3, "-c2", "--mem=100")

    ids = {"epilog": spin(3)}
    metered.wait_state(ids["epilog"], "RUNNING")
    metered.until(lambda: not list(events.iterdir()), "the agent to take the begin")
    events.rename(away)
    metered.wait_state(ids["epilog"], "COMPLETED")
    ids["prolog"] = spin(3)
    metered.wait_state(ids["prolog"], "RUNNING")
    away.rename(events)
    metered.wait_state(ids["prolog"], "COMPLETED")
    metered.lab.processes.stop(f"agent-{node}")
    events.rename(away)
    ids["both"] = spin(1)
    metered.wait_state(ids["both"], "COMPLETED")
    away.rename(events)
    metered.stack.start_agent(node)
    return ids


@pytest.fixture(scope="module")
def jobs(metered, lost):
    """All jobs, handed in together and run to their ends; their readings are in the ledger."""
    trial = metered
    bare, wall, gpu, cray = trial.lab.nodes

    def mem(mem_mb):
        return f"--mem={mem_mb}"

    asked = {
        # Four jobs share a node; CPU load and allocation have nothing to do with each other.
        "big and idle": Asked(trial.spinner(bare, 26, 0.02, "-c4", mem(400)), 4, 400),
        "small and busy": Asked(trial.spinner(bare, 24, 0.5, "-c1", mem(2000)), 1, 2000),
        "middle": Asked(trial.spinner(bare, 22, 0.2, "-c2", mem(600), user=BEN), 2, 600),
        "quiet": Asked(trial.spinner(bare, 20, 0.0, "-c1", mem(200)), 1, 200),
        "one GPU": Asked(trial.spinner(gpu, 24, 0.1, "-c2", "--gres=gpu:1", mem(500)), 2, 500),
        "four GPUs": Asked(
            trial.spinner(gpu, 26, 0.05, "-c3", "--gres=gpu:4", mem(1500), user=BEN), 3, 1500
        ),
        "no GPU": Asked(trial.spinner(gpu, 22, 0.1, "-c2", mem(300)), 2, 300),
        "two nodes": Asked(
            trial.spinner(f"{wall},{cray}", 22, 0.1, "-N2", "-n2", "-c3", mem(1000), run="srun"),
            3,
            1000,
        ),
        "accelerators": Asked(
            trial.spinner(cray, 24, 0.05, "-c2", "--gres=gpu:2", mem(800)), 2, 800
        ),
    }
    array = trial.spinner(wall, 8, 0.1, "-c1", "--array=1-2", mem(100))
    het = trial.sbatch(
        ADA,
        *("-w", wall, "--time=2", "-c1", mem(100), ":", "-w", cray, "-c2", mem(200)),
        "--wrap",
        f"srun --het-group=0,1 {trial.spinning(8, 0.1)}",
    )
    suspended = Asked(trial.spinner(cray, 14, 0.1, "-c1", mem(100)), 1, 100)
    trial.wait_state(suspended.job_id, "RUNNING")
    trial.lab.slurm("scontrol", "suspend", str(suspended.job_id))
    trial.until(lambda: trial.halted(suspended.job_id, cray), "the job to stand still")
    halted_ns = time.time_ns()
    ids = [one.job_id for one in asked.values()]
    short = trial.spinner(wall, 2, 0.3, "-c1", mem(100))
    trial.wait_state(short, "COMPLETED")
    trial.until(lambda: time.time_ns() > halted_ns + 6 * 10**9, "six seconds of standing still")
    suspended.halts.append((halted_ns, time.time_ns()))
    trial.lab.slurm("scontrol", "resume", str(suspended.job_id))
    for job in (*ids, suspended.job_id, het, array):
        trial.wait_state(job, "COMPLETED", timeout_s=90)
    exclusive = trial.spinner(wall, 10, 0.3, "--exclusive", "-c1", mem(0))
    trial.wait_state(exclusive, "COMPLETED")
    asked["two seconds"] = Asked(short, 1, 100)
    asked["exclusive"] = Asked(exclusive, 8, 4000)
    for task in trial.lab.slurm("sacct", "-XnP", "-o", "JobIDRaw", "-j", str(array)).split():
        asked[f"array task {task}"] = Asked(int(task), 1, 100)
    asked["heterogeneous 0"] = Asked(het, 1, 100)
    asked["heterogeneous 1"] = Asked(het + 1, 2, 200)
    ends = {one.job_id: trial.stays()[one.job_id][-1].end_ns for one in asked.values()}
    newest = "SELECT MIN(at) AS at FROM (SELECT MAX(end_at) AS at FROM segments GROUP BY node)"
    trial.until(
        lambda: trial.one(newest)["at"] * 10**9 > max(ends.values()), "the last readings", 30
    )
    return asked, suspended


def compare(trial, truths, name, one):
    """The job's lines of the table: node, truth and bill by domain; the error of the sum."""
    errors = []
    for stay in trial.stays()[one.job_id]:
        truth = trial.true_j(truths, stay, one.cpus, one.mem_mb)
        billed = trial.billed_j(one.job_id, stay.node)
        length_s = (stay.end_ns - stay.begin_ns) / 1e9
        total, told = sum(truth.values()), sum(billed.values())
        parts = ", ".join(f"{key} {truth[key]:.1f}/{billed.get(key, 0)}" for key in truth)
        say(
            f"{name:18}{stay.node:>5}{length_s:7.1f} s  truth {total:9.1f} J  billed {told:6} J"
            f"  {100 * (told / total - 1):+6.2f} %  ({parts})"
        )
        # What a bill is told in: whole joules, half a joule from exact in each domain.
        rounding_j = sum(0.5 for key in truth if truth[key])
        beyond = max(0.0, abs(told - total) - rounding_j) / total
        errors.append((told / total - 1, told - total, length_s, beyond))
    return errors


def test_each_job_is_billed_what_it_used(metered, jobs):
    """Every long job on shared nodes within one per cent, beyond whole joules; short ones near."""
    asked, _ = jobs
    truths = metered.truths()
    found = {name: compare(metered, truths, name, one) for name, one in asked.items()}
    long = {
        name: max(beyond for *_, beyond in errors)
        for name, errors in found.items()
        if min(length_s for _, _, length_s, _ in errors) >= 20
    }
    worst = max(long, key=long.__getitem__)
    say(
        f"worst of {len(long)} jobs of 20 s and more: {worst}, {100 * long[worst]:.2f} %"
        " beyond rounding"
    )
    assert len(long) >= 9
    assert long[worst] < WORST
    for name, errors in found.items():
        for ratio, joules, *_ in errors:
            assert abs(ratio) < 0.05 or abs(joules) < 5, name


def test_a_suspended_job_draws_nothing_while_it_stands_still(metered, jobs):
    """Its CPUs are another's meanwhile, so it has neither their idle power nor dynamic power."""
    _, one = jobs
    (stay,) = metered.stays()[one.job_id]
    truths = metered.truths()
    whole = metered.true_j(truths, stay, 1, 100)
    truth = metered.true_j(truths, stay, 1, 100, halts=tuple(one.halts))
    billed = metered.billed_j(one.job_id, stay.node)
    say(
        f"suspended for {(one.halts[0][1] - one.halts[0][0]) / 1e9:.1f} s: truth {truth},"
        f" had it never stopped {whole}, billed {billed}"
    )
    # It is seen to stand still at a sample only, and to go on at another.
    assert billed["cpu"] == pytest.approx(truth["cpu"], rel=0.15)
    assert billed["cpu"] < whole["cpu"] * 0.85


def test_every_segment_adds_up(metered, jobs):
    rows = metered.select(
        "SELECT segments.id, total_j, SUM(energy_j) AS parts_j FROM segments"
        " JOIN parts ON segment_id = segments.id GROUP BY segments.id"
    )
    off = [row for row in rows if row["total_j"] != row["parts_j"]]
    say(f"worst conservation error of {len(rows)} segments: {len(off) and off} J")
    assert len(rows) > 30
    assert not off
    parts = metered.select("SELECT energy_j, domains FROM parts")
    assert all(sum(json.loads(one["domains"]).values()) == one["energy_j"] for one in parts)


def test_the_sum_of_all_segments_is_what_the_counters_advanced(metered, jobs):
    """All of a node, rest included: the plant's truth over the time that segments cover."""
    truths = metered.truths()
    for machine in metered.machines:
        lines = metered.timeline(machine.name)
        assert all(before[1] == after[0] for before, after in pairwise(lines))
        # The first segment has, besides its own, the fraction of a second before it.
        begin_ns, end_ns = lines[1][0] * 10**9, lines[-1][1] * 10**9
        rest = bool(machine.wall)
        truth = truths[machine.name].domains_uj(begin_ns, end_ns, rest=rest)
        told = metered.told_j(machine.name, lines[1][0])
        parts = ", ".join(f"{key} {truth[key] / 1e6:.0f}/{told.get(key, 0)}" for key in truth)
        true_j, told_j = sum(truth.values()) / 1e6, sum(told.values())
        sums = f"truth {true_j:.0f} J, told {told_j} J, {told_j - true_j:+.1f} J"
        say(f"{machine.name}: {sums} ({parts})")
        assert told_j == pytest.approx(true_j, rel=0.01)


def test_figures_say_how_they_were_obtained(metered, jobs):
    meters = {
        row["node"]: row["meter"]
        for row in metered.select("SELECT DISTINCT node, meter FROM segments")
    }
    bare, wall, gpu, cray = (meters[node] for node in metered.lab.nodes)
    assert bare.count("package-0") == wall.count("package-0") == 2  # itself and its memory
    assert "hwmon" in wall
    assert "nvml" in gpu
    assert "cray" in cray


@pytest.mark.parametrize("which", ["epilog", "prolog"])
def test_a_job_of_which_half_was_heard_is_closed_and_marked(metered, lost, jobs, which):
    """Without an epilog by Slurm's record, without a prolog from the control group on."""
    (row,) = metered.settled(lost[which], timeout_s=150)
    (stay,) = metered.stays()[lost[which]]
    true_j = sum(metered.true_j(metered.truths(), stay, 2, 100).values())
    say(f"no {which}: truth {true_j:.1f} J, charged {row['energy_j']} J, {row['quality']}")
    assert row["quality"] == "partial"
    assert 0 < row["energy_j"] < 1.5 * true_j + 10


def test_a_job_that_nobody_heard_of_is_missing_and_listed(metered, lost, jobs):
    (row,) = metered.settled(lost["both"], timeout_s=150)
    say(f"neither prolog nor epilog nor agent: charged {row['energy_j']} J, {row['quality']}")
    assert row["quality"] == "missing"
    done = metered.carbonsched("audit", "-S", "today", "--json", user="root")
    assert done.returncode == 0, done.stdout + done.stderr
    (cluster,) = json.loads(done.stdout)["clusters"]
    assert cluster["adds_up"]
    assert str(lost["both"]) in [one["shown_id"] for one in cluster["listed"]]
