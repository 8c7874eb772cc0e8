"""The main job, end to end: csbatch, Slurm, prolog, agent, epilog, daemon, ledger, report."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from trial import ADA, BEN, check_evidence

pytestmark = pytest.mark.cluster

NOW = ("--carbon-now", "--time=1")
LATER = ("--carbon-max-delay=1min", "--time=1")
ODD_NAME = """two  words 'single' "double" $HOME `id` ünï\nnext line;|&"""


@pytest.fixture(scope="module")
def deferred(trial):
    """Jobs that may wait, handed in together while a cleaner time lies ahead."""
    valley_at = trial.valley(in_s=15)
    jobs = {
        "single": trial.csbatch(ADA, *LATER, "--job-name=single", "-c4", "--wrap", "sleep 6"),
        "array": trial.csbatch(
            ADA, *LATER, "--job-name=array", "--array=1,3,5", "--wrap", "sleep 3"
        ),
        "heterogeneous": trial.csbatch(
            BEN, *LATER, "--job-name=het", "-n1", ":", "-n3", "--wrap", "srun sleep 3"
        ),
    }
    return valley_at, jobs


@pytest.fixture(scope="module")
def immediate(trial, deferred):
    """Jobs that do not wait, handed in together."""
    hello = trial.csbatch(ADA, *NOW, "--job-name=first", "--wrap", "sleep 3")[0]
    return {
        "dependency": (
            hello,
            trial.csbatch(ADA, *NOW, f"--dependency=afterok:{hello}", "--wrap", "sleep 1")[0],
        ),
        "nodes": trial.csbatch(ADA, *NOW, "--nodes=3", "--wrap", "srun sleep 4")[0],
        "odd": trial.csbatch(BEN, *NOW, f"--job-name={ODD_NAME}", "--wrap", "sleep 3")[0],
        "commented": trial.csbatch(BEN, *NOW, f"--comment={ODD_NAME}", "--wrap", "sleep 3")[0],
        "plain": trial.sbatch(BEN, "--time=1", "--wrap", "sleep 4"),
    }


def test_a_deferred_job_starts_in_the_cleaner_time_and_not_before(trial, deferred):
    valley_at, jobs = deferred
    job, told = jobs["single"]
    assert "plan: " in told
    assert "predicted" in told
    assert trial.start_time(job) == valley_at
    assert trial.queued(job)["planned_start_at"] == valley_at
    assert trial.queued(job)["state"] == "PENDING"
    (row,) = trial.settled(job)
    assert valley_at <= row["started_at"] <= valley_at + 3
    assert row["deferred_s"] >= 5
    assert row["quality"] == "modelled"
    check_evidence(trial, row)
    # The same energy at the dirty level would have weighed three times as much.
    assert row["saved_mg"] == pytest.approx(2 * row["mg"], abs=2)


def test_its_report_line_is_what_the_ledger_says(trial, deferred):
    job, _ = deferred[1]["single"]
    (row,) = trial.settled(job)
    report = json.loads(trial.stack.run(ADA, "csreport", "--format", "json").stdout)
    (line,) = [one for one in report["jobs"] if one["job_id"] == job]
    assert (line["energy_j"], line["mg"]) == (row["energy_j"], row["mg"])
    assert line["saved_mg"] == row["saved_mg"]
    assert str(job) in trial.stack.run(ADA, "csreport").stdout


def test_every_task_of_an_array_waits_and_is_charged(trial, deferred):
    valley_at, jobs = deferred
    array, _ = jobs["array"]
    rows = trial.settled(array, runs=3)
    assert sorted(row["shown_id"] for row in rows) == [f"{array}_{task}" for task in (1, 3, 5)]
    for row in rows:
        assert row["started_at"] >= valley_at
        check_evidence(trial, row)


def test_every_component_of_a_heterogeneous_job_waits_and_is_charged(trial, deferred):
    valley_at, jobs = deferred
    leader, _ = jobs["heterogeneous"]
    rows = trial.settled(leader, runs=2)
    assert [row["job_id"] for row in rows] == [leader, leader + 1]
    assert [row["cpus"] for row in rows] == [1, 3]
    for row in rows:
        assert row["started_at"] >= valley_at
        check_evidence(trial, row)


def test_a_job_of_several_nodes_is_metered_on_each(trial, immediate):
    (row,) = trial.settled(immediate["nodes"])
    assert row["node_count"] == 3
    assert len({one["node"] for one in row["evidence"]}) == 3
    check_evidence(trial, row)


def test_odd_names_come_through_unharmed(trial, immediate):
    (row,) = trial.settled(immediate["odd"])
    assert row["mg"] > 0
    words = ODD_NAME.replace('"', "`")  # slurmdbd keeps double quotes as backquotes
    assert row["name"].replace('"', "`").split() == words.split()
    shown = trial.stack.run(BEN, "csacct", "-j", str(immediate["odd"])).stdout
    assert len(shown.splitlines()) == 2
    check_evidence(trial, row)


def test_a_users_own_comment_stays(trial, immediate):
    job = immediate["commented"]
    (row,) = trial.settled(job)
    check_evidence(trial, row)
    shown = trial.lab.slurm("sacct", "-X", "-n", "-P", "-o", "Comment", "-j", str(job))
    assert "ünï" in shown
    assert "carbonsched" not in shown


def test_a_dependency_is_kept(trial, immediate):
    first, second = immediate["dependency"]
    (before,), (after,) = trial.settled(first), trial.settled(second)
    assert after["started_at"] >= before["ended_at"]
    check_evidence(trial, after)


def test_a_plain_sbatch_job_is_metered_and_never_moved(trial, immediate):
    (row,) = trial.settled(immediate["plain"])
    assert row["deferred_s"] == 0
    assert row["saved_mg"] is None
    assert row["started_at"] - row["submitted_at"] <= 3
    check_evidence(trial, row)


def test_a_users_own_begin_is_never_undercut(trial, immediate):
    begin_s = trial.stack.settings.lease_s  # a time that could be mistaken for the lease
    job, _ = trial.csbatch(BEN, "--time=1", f"--begin=now+{begin_s}", "--wrap", "true")
    (row,) = trial.settled(job)
    assert row["started_at"] >= row["submitted_at"] + begin_s


def test_standard_output_is_exactly_sbatchs(trial):
    plain = trial.stack.run(ADA, "csbatch", "--carbon-now", "--wrap", "true").stdout
    assert re.fullmatch(r"Submitted batch job \d+\n", plain)
    bare = trial.stack.run(ADA, "csbatch", "--carbon-now", "--parsable", "--wrap", "true").stdout
    assert re.fullmatch(r"\d+\n", bare)


def test_a_script_on_standard_input_may_hold_directives(trial):
    script = "#!/bin/sh\n#SBATCH --time=1\n#CARBON --campaign=paper-7 --now\nsleep 2\n"
    job, _ = trial.csbatch(ADA, "--job-name=stdin", stdin=script)
    (row,) = trial.settled(job)
    assert row["campaign"] == "paper-7"
    check_evidence(trial, row)


def test_the_same_script_under_another_name_is_predicted_from_its_earlier_run(trial):
    script = trial.lab.home(ADA) / "weekday.sh"
    script.write_text("#!/bin/sh\n#CARBON --now\nsleep 2\n")
    job, _ = trial.csbatch(ADA, "--time=1", "-c2", "--job-name=monday", script, "first")
    (row,) = trial.settled(job)
    script.write_text("#!/bin/sh\n#SBATCH --time=2\nsleep 2\n")
    words = ("--begin=now+1hour", "-c2", "--job-name=tuesday", script, "second")
    again, _ = trial.csbatch(ADA, *words)
    prediction = trial.queued(again)["prediction"]
    words = "from 1 earlier job of the same script and CPUs"
    assert prediction["explanation"].startswith(words)
    assert prediction["energy_j"] == max(1, row["energy_j"])
    trial.lab.slurm("scancel", str(again))


def test_the_first_epochs_predict_the_whole_job(trial):
    script = trial.lab.home(ADA) / "epochs.py"
    script.write_text(
        f"#!{trial.programs}/python\n"
        "import time\n"
        "from carbonsched.epochs import EpochTracker\n"
        "for epoch in EpochTracker(epochs=8):\n"
        "    time.sleep(1.5)\n"
    )
    job, _ = trial.csbatch(ADA, "--carbon-epochs=8", *NOW, script)
    seen = {}

    def predicted():
        row = trial.queued(job)
        prediction = row.get("prediction") or {}
        if prediction.get("source") == "epochs":
            seen.update(row)
        return bool(seen)

    trial.until(predicted, "a prediction from epochs", 30)
    assert seen["epoch"] < 8 == seen["epochs"]
    prediction = seen["prediction"]
    (row,) = trial.settled(job)
    assert prediction["duration_s"] == pytest.approx(row["elapsed_s"], rel=0.4)
    assert prediction["energy_low_j"] <= prediction["energy_j"] <= prediction["energy_high_j"]
    epochs = "SELECT DISTINCT epoch FROM epochs WHERE job_id = :job_id"
    trial.until(lambda: len(trial.select(epochs, job_id=job)) == 8, "all eight epochs")


def test_a_training_that_does_not_change_tells_its_epochs(trial):
    script = trial.lab.home(ADA) / "unchanged.sh"
    script.write_text(
        "#!/bin/sh\n"
        f"srun {trial.programs}/carbonsched track -- {trial.programs}/python -c '\n"
        "import time\n"
        "for epoch in range(3):\n"
        '    print(f"Epoch {epoch + 1}/3")\n'
        "    time.sleep(1)\n"
        "'\n"
    )
    job, _ = trial.csbatch(ADA, *NOW, script)
    trial.settled(job)
    epochs = "SELECT DISTINCT epoch, epochs FROM epochs WHERE job_id = :job_id ORDER BY epoch"
    trial.until(lambda: len(trial.select(epochs, job_id=job)) == 3, "all three epochs")
    assert [row["epochs"] for row in trial.select(epochs, job_id=job)] == [3, 3, 3]


def test_both_runs_of_a_requeued_job_are_charged_once_each(trial, requeued):
    rows = trial.settled(requeued, runs=2, timeout_s=180)
    assert [row["restarts"] for row in rows] == [0, 1]
    assert [row["state"] for row in rows] == ["REQUEUED", "COMPLETED"]
    # Slurm's own delay stands: sooner, slurmd would not run the prolog again.
    assert rows[1]["started_at"] - rows[1]["submitted_at"] > 60
    for row in rows:
        assert trial.uncovered_s(row) <= 1.5
        check_evidence(trial, row)


def test_every_joule_of_every_node_has_an_owner(trial, immediate):
    parts = trial.select(
        "SELECT total_j, SUM(energy_j) AS parts_j FROM segments"
        " JOIN parts ON segment_id = segments.id GROUP BY segments.id"
    )
    assert len(parts) > 20
    assert all(row["total_j"] == row["parts_j"] for row in parts)
    assert {row["kind"] for row in trial.select("SELECT DISTINCT kind FROM parts")} <= {
        "job",
        "idle",
        "system",
    }
    for node in trial.lab.nodes:
        segments = trial.timeline(node)
        assert all(before[1] == after[0] for before, after in pairwise(segments))
