"""A job that runs in pieces on a real cluster: stopped in dirty hours, and on where it was."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from scene import say
from stoppable import GRACE_S, LEAST_RUN_S, stoppable_trial
from trial import ADA, CLEAN, check_evidence

pytestmark = pytest.mark.cluster

STEPS = 90
STOPPABLE = ("--carbon-checkpoint", "--carbon-max-delay=2min", "--time=1")
COUNTING = """\
#!/usr/bin/python3
import os, pathlib, signal, sys, time

answer, checkpoint = sys.argv[1], pathlib.Path(sys.argv[2])

def write(*_):
    checkpoint.write_text(str(step))
    print(f"written {step}", flush=True)
    if answer != "on":
        sys.exit(int(answer))

step = int(checkpoint.read_text()) if checkpoint.exists() else 0
if answer != "deaf":
    signal.signal(signal.SIGUSR1, write)
print(f"run {os.environ.get('SLURM_RESTART_COUNT', 0)} from {step}", flush=True)
while step < STEPS:
    time.sleep(0.2)
    step += 1
print(f"ended {step}", flush=True)
"""


@pytest.fixture(scope="module")
def cluster(lab_folder, programs):
    """A trial of its own."""
    with stoppable_trial(lab_folder / "split", programs) as trial:
        yield trial


def submit(trial, name, *options, answer="on"):
    """A job that counts; its id, and where it prints."""
    home = trial.lab.home(ADA)
    script = home / "counting.py"
    script.write_text(COUNTING.replace("STEPS", str(STEPS)))
    printed = home / f"{name}.out"
    words = (f"--job-name={name}", f"--output={printed}", script, answer, home / f"{name}.step")
    job, _ = trial.csbatch(ADA, *options, *words)
    trial.wait_state(job, "RUNNING")
    return SimpleNamespace(id=job, printed=printed, lines=lambda: printed.read_text().splitlines())


def state(trial, job):
    """How far the stop of a job's first run has come."""
    rows = trial.select("SELECT state FROM stops WHERE job_id = :id AND restarts = 0", id=job.id)
    return rows[0]["state"] if rows else None


def restarts(trial, job):
    """How often Slurm has restarted a job."""
    return int(trial.shown(job.id, "Restarts"))


@pytest.fixture(scope="module")
def split(cluster):
    """Jobs that run when the grid turns dirty, and the daemon killed within the grace of one.

    That one begins last, so that its least run ends when the others have been requeued.
    """
    trial = cluster
    trial.plateau(level=CLEAN)
    jobs = {
        "on": submit(trial, "on", *STOPPABLE),
        "exits": submit(trial, "exits", *STOPPABLE, answer="75"),
        "finishes": submit(trial, "finishes", *STOPPABLE, answer="0"),
        "fails": submit(trial, "fails", *STOPPABLE, answer="3"),
        "plain": submit(trial, "plain", *STOPPABLE[1:], answer="deaf"),
    }
    dirty_at = trial.start_time(jobs["plain"].id) + LEAST_RUN_S
    trial.until(lambda: time.time() >= dirty_at - 1, "the last to begin")
    jobs["killed"] = submit(trial, "killed", *STOPPABLE)
    clean_at = trial.valley(in_s=25)
    trial.until(lambda: state(trial, jobs["killed"]) == "signalled", "the signal to the last one")
    trial.lab.processes.kill("carbonschedd")
    at_the_kill = {name: (state(trial, job), restarts(trial, job)) for name, job in jobs.items()}
    trial.stack.start_daemon()
    return SimpleNamespace(jobs=jobs, clean_at=clean_at, at_the_kill=at_the_kill)


def pieces(trial, job):
    """Both runs of a job that was stopped once, checked: metered, charged, in their hours."""
    first, second = trial.settled(job.id, runs=2)
    assert [first["state"], second["state"]] == ["REQUEUED", "COMPLETED"]
    assert [first["restarts"], second["restarts"]] == [0, 1]
    for row in (first, second):
        assert trial.uncovered_s(row) <= 1.5
        check_evidence(trial, row)
    return first, second


def continued(job):
    """What a job printed that was stopped once; from which step it went on."""
    begun, written, *_, resumed, ended = job.lines()
    step = int(written.removeprefix("written "))
    assert (begun, resumed) == ("run 0 from 0", f"run 1 from {step}")
    assert ended == f"ended {STEPS}"
    return step


def test_a_job_is_stopped_in_the_dirty_window_and_starts_in_the_clean_one(cluster, split):
    job = split.jobs["on"]
    cluster.until(lambda: cluster.queued(job.id).get("planned_start_at"), "a plan for the rest")
    assert cluster.shown(job.id, "JobState") == "PENDING"
    assert cluster.start_time(job.id) == split.clean_at
    why = cluster.stack.run(ADA, "csqueue", "--why", "-j", str(job.id)).stdout
    say(why)
    words = " ".join(why.split())
    assert "It was stopped " in words
    assert " for a cleaner window and goes on " in words
    assert ", which is expected to save " in words
    assert f"job {job.id} of {ADA} is stopped and requeued" in cluster.daemon_log


def test_it_goes_on_from_its_checkpoint_and_both_runs_are_charged(cluster, split):
    job = split.jobs["on"]
    first, second = pieces(cluster, job)
    step = continued(job)
    say(f"stopped at step {step}, {first['elapsed_s']} s + {second['elapsed_s']} s")
    assert 5 * (LEAST_RUN_S - 2) <= step < STEPS
    assert second["elapsed_s"] < STEPS / 5 - first["elapsed_s"] + 2 * GRACE_S + 2
    assert split.clean_at <= second["started_at"] <= split.clean_at + 3
    assert second["saved_mg"] > 0


def test_a_job_that_ends_with_75_in_the_grace_goes_on_too(cluster, split):
    job = split.jobs["exits"]
    first, second = pieces(cluster, job)
    (stop,) = cluster.select("SELECT at FROM stops WHERE job_id = :id", id=job.id)
    assert first["ended_at"] <= stop["at"] + 1  # by itself, not when it was requeued
    assert second["started_at"] >= split.clean_at
    assert continued(job) > 0


def test_a_daemon_that_is_killed_between_signal_and_requeue_requeues_once(cluster, split):
    job = split.jobs["killed"]
    assert split.at_the_kill["killed"] == ("signalled", 0)
    _, second = pieces(cluster, job)
    assert continued(job) > 0
    assert cluster.daemon_log.count(f"job {job.id} of {ADA} is stopped and requeued") == 1
    assert len(cluster.rows(job.id)) == 2
    assert second["started_at"] >= split.clean_at


def test_a_job_that_finishes_or_fails_in_the_grace_is_not_run_again(cluster, split):
    for name, ended in (("finishes", "COMPLETED"), ("fails", "FAILED")):
        job = split.jobs[name]
        (row,) = cluster.settled(job.id)
        assert (row["state"], row["restarts"]) == (ended, 0)
        begun, written = job.lines()
        assert begun == "run 0 from 0"
        assert written.startswith("written ")
        assert state(cluster, job) == "left"
        check_evidence(cluster, row)


def test_a_job_without_the_directive_is_never_touched(cluster, split):
    job = split.jobs["plain"]
    (row,) = cluster.settled(job.id)
    assert (row["state"], row["restarts"]) == ("COMPLETED", 0)
    assert job.lines() == ["run 0 from 0", f"ended {STEPS}"]
    assert state(cluster, job) is None
    assert f"job {job.id} of {ADA} had better" not in cluster.daemon_log
