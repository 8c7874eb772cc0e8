"""Pilots on a real cluster: a training starts at once, and its first epoch decides on the rest."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from scene import say
from stoppable import GRACE_S, stoppable_trial
from trial import ADA, BEN, check_evidence

from carbonsched.prediction.epoch_log import read_log

pytestmark = pytest.mark.cluster

EPOCHS, FEW, EPOCH_S = 10, 5, 1.0
ASKED = ("--carbon-checkpoint", "--carbon-max-delay=2min", "--time=1")
TRAINING = """\
#!PYTHON
# Fits a line by gradient descent; after a stop it goes on from its checkpoint.
import json, os, pathlib, random, signal, sys, time
from carbonsched.epochs import EpochTracker

epochs, checkpoint = int(sys.argv[1]), pathlib.Path(sys.argv[2])
told = False

def tell(*_):
    global told
    told = True

signal.signal(signal.SIGUSR1, tell)
state = {"epoch": 0, "slope": 0.0, "offset": 0.0}
if checkpoint.exists():
    state = json.loads(checkpoint.read_text())
print("run", os.environ.get("SLURM_RESTART_COUNT", 0), "from", state["epoch"], flush=True)
for epoch in EpochTracker(epochs=epochs, first=state["epoch"]):
    began, data = time.monotonic(), random.Random(epoch)
    for _ in range(20_000):
        x = data.random()
        error = state["slope"] * x + state["offset"] - (3 * x + 1)
        state["slope"] -= 0.01 * error * x
        state["offset"] -= 0.01 * error
    time.sleep(max(0, EPOCH_S - (time.monotonic() - began)))
    state["epoch"] = epoch + 1
    if told:
        draft = checkpoint.with_suffix(".new")
        draft.write_text(json.dumps(state))
        draft.replace(checkpoint)
        told = False
        print("written", state["epoch"], flush=True)
print("ended", state["epoch"], repr(state["slope"]), repr(state["offset"]), flush=True)
"""


@pytest.fixture(scope="module")
def cluster(lab_folder, programs):
    """A trial of its own."""
    with stoppable_trial(lab_folder / "pilot", programs) as trial:
        yield trial


def submit(trial, name, *options, epochs=EPOCHS):
    """A training; its id, its checkpoint and what it prints."""
    home = trial.lab.home(ADA)
    script = home / "training.py"
    python = str(trial.programs / "python")
    script.write_text(TRAINING.replace("PYTHON", python).replace("EPOCH_S", str(EPOCH_S)))
    printed = home / f"{name}.out"
    words = (f"--job-name={name}", f"--output={printed}", script, str(epochs), home / f"{name}.at")
    job, _ = trial.csbatch(ADA, *options, *ASKED, *words)
    return SimpleNamespace(id=job, lines=lambda: printed.read_text().splitlines())


def decision(trial, job):
    """What was decided after the first epoch, once."""
    rows = trial.select("SELECT * FROM pilots WHERE job_id = :id", id=job.id)
    assert len(rows) <= 1
    return rows[0] if rows else None


def epochs(trial, job, restarts):
    """The epochs that a run has told, by number."""
    sql = "SELECT * FROM epochs WHERE job_id = :id AND restarts = :restarts ORDER BY epoch"
    return {row["epoch"]: row for row in trial.select(sql, id=job.id, restarts=restarts)}


def why(trial, job):
    """What ``csqueue --why`` says, on one line."""
    return " ".join(trial.stack.run(ADA, "csqueue", "--why", "-j", str(job.id)).stdout.split())


def trained(count):
    """What an undisturbed training comes to."""
    slope = offset = 0.0
    for epoch in range(count):
        data = random.Random(epoch)
        for _ in range(20_000):
            x = data.random()
            error = slope * x + offset - (3 * x + 1)
            slope -= 0.01 * error * x
            offset -= 0.01 * error
    return slope, offset


@pytest.fixture(scope="module")
def flat(cluster):
    """A pilot under a grid that does not change."""
    cluster.plateau()
    job = submit(cluster, "flat", "--carbon-pilot", epochs=FEW)
    cluster.wait_state(job.id, "RUNNING")
    cluster.until(lambda: decision(cluster, job), "a decision on the pilot")
    job.why = why(cluster, job)
    return job


@pytest.fixture(scope="module")
def pilot(cluster, flat):
    """A pilot in dirty hours before clean ones, as far as Slurm has a time for its second run."""
    clean_at = cluster.valley(in_s=20)
    plain = submit(cluster, "plain")
    job = submit(cluster, "pilot", "--carbon-pilot")
    cluster.wait_state(job.id, "RUNNING")
    job.clean_at, job.plain_at = clean_at, cluster.queued(plain.id)["planned_start_at"]
    cluster.lab.run_as(ADA, ["scancel", str(plain.id)])
    job.why_at_first = why(cluster, job)
    cluster.until(lambda: decision(cluster, job), "a decision on the pilot")
    cluster.until(lambda: cluster.shown(job.id, "Restarts") == "1", "its requeue")
    cluster.until(lambda: cluster.queued(job.id).get("planned_start_at"), "a plan for the rest")
    job.waits = SimpleNamespace(
        state=cluster.shown(job.id, "JobState"),
        start_at=cluster.start_time(job.id),
        row=cluster.queued(job.id),
        why=why(cluster, job),
    )
    return job


def test_a_pilot_starts_at_once_where_another_job_waits(cluster, pilot):
    assert pilot.plain_at == pilot.clean_at
    first = cluster.rows(pilot.id)[0]
    assert first["started_at"] - first["submitted_at"] <= 3
    assert "after its first epoch it is decided whether it goes on at once" in pilot.why_at_first


def test_its_first_epoch_decides_and_it_waits_in_slurm_for_the_clean_window(cluster, pilot):
    decided = decision(cluster, pilot)
    say(f"{decided}\n{pilot.waits.why}")
    assert decided["stopped"] == 1
    first = epochs(cluster, pilot, 0)[1]
    assert decided["decided_at"] * 1000 >= first["started_ms"] + first["duration_ms"] - 1000
    assert pilot.waits.state == "PENDING"
    assert pilot.waits.start_at == pilot.clean_at
    assert "It is a pilot; after its first epoch it was decided" in pilot.waits.why
    assert " that it goes on later, from about " in pilot.waits.why
    assert pilot.waits.row["prediction"]["source"] == "epochs"
    told = f"job {pilot.id} of {ADA}, a pilot, is stopped after its first epoch: from about "
    assert cluster.daemon_log.count(told) == 1


def test_it_goes_on_from_its_checkpoint_with_its_epochs_counted_on(cluster, pilot):
    first, second = cluster.settled(pilot.id, runs=2)
    begun, written, *_, resumed, ended = pilot.lines()  # and what Slurm says of the requeue
    at = int(written.removeprefix("written "))
    assert (begun, resumed) == ("run 0 from 0", f"run 1 from {at}")
    assert 1 <= at < EPOCHS
    cluster.until(lambda: EPOCHS in epochs(cluster, pilot, 1), "its last epoch in the ledger")
    assert sorted(epochs(cluster, pilot, 1)) == list(range(at + 1, EPOCHS + 1))
    assert second["started_at"] >= pilot.clean_at
    slope, offset = trained(EPOCHS)
    assert ended == f"ended {EPOCHS} {slope!r} {offset!r}", "as if it had never been stopped"
    assert first["elapsed_s"] >= GRACE_S


def test_both_runs_are_charged(cluster, pilot):
    first, second = cluster.settled(pilot.id, runs=2)
    assert [first["state"], second["state"]] == ["REQUEUED", "COMPLETED"]
    assert [first["restarts"], second["restarts"]] == [0, 1]
    for row in (first, second):
        assert cluster.uncovered_s(row) <= 1.5
        check_evidence(cluster, row)
    assert second["saved_mg"] > 0


def test_what_is_predicted_of_the_second_run_rests_on_the_epochs_of_both(cluster, pilot):
    first, second = cluster.settled(pilot.id, runs=2)
    sql = "SELECT * FROM predictions WHERE job_id = :id AND restarts = 1 ORDER BY id"
    waiting, *running = cluster.select(sql, id=pilot.id)
    assert waiting["source"] == "epochs"
    assert waiting["explanation"].endswith("goes on after a stop, so what is left of it")
    kept = min(epochs(cluster, pilot, 1)) - 1
    told = [row for row in running if f"{kept} of them in runs before" in row["explanation"]]
    assert told == [row for row in running if row["source"] == "epochs"]
    assert EPOCHS >= told[-1]["samples"] > told[0]["samples"] > kept
    say(f"first run {first['elapsed_s']} s {first['energy_j']} J, {kept} epochs kept of it")
    say(f"second run {second['elapsed_s']} s {second['energy_j']} J, predicted before its start:")
    for row in (waiting, told[0], told[-1]):
        say(f"  {row['duration_s']} s {row['energy_j']} J by {row['samples']} epochs")
        assert row["duration_s"] == pytest.approx(second["elapsed_s"], abs=4)
        assert row["energy_low_j"] <= row["energy_j"] <= row["energy_high_j"]
        assert row["energy_j"] == pytest.approx(second["energy_j"], rel=0.5)
    assert " in all." in pilot.waits.why


def test_its_epochs_are_one_log_over_both_runs(cluster, pilot):
    cluster.settled(pilot.id, runs=2)
    cluster.until(lambda: EPOCHS in epochs(cluster, pilot, 1), "its last epoch in the ledger")
    words = ("epochs", str(pilot.id))
    log = read_log(cluster.carbonsched(*words, user=ADA).stdout.splitlines())
    assert [one.number for one in log] == list(range(1, EPOCHS + 1))
    of_second = epochs(cluster, pilot, 1)
    for one in log[min(of_second) - 1 :]:
        assert round(one.cost.joules * 1000) == of_second[one.number]["energy_millij"]
    refused = cluster.carbonsched(*words, user=BEN)
    assert (refused.returncode, refused.stdout) == (64, "")
    assert f"no epochs of job {pilot.id} among the jobs you may see" in refused.stderr


def test_under_a_flat_grid_a_pilot_goes_on_to_its_end(cluster, flat):
    (row,) = cluster.settled(flat.id)
    decided = decision(cluster, flat)
    say(flat.why)
    assert decided["stopped"] == 0
    assert decided["note"].startswith("stopping it, which costs 00:00:0")
    assert decided["note"].endswith(" of running, would not save enough")
    assert f"that it goes on: {decided['note']}." in flat.why
    assert (row["state"], row["restarts"]) == ("COMPLETED", 0)
    assert [line.split()[0] for line in flat.lines()] == ["run", "ended"]
    assert cluster.select("SELECT * FROM stops WHERE job_id = :id", id=flat.id) == []
    check_evidence(cluster, row)
