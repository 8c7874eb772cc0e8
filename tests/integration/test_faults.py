"""What must not be lost when a part dies: each test kills one, on a real cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from stack.stack import DAEMON
from trial import ADA, BEN

pytestmark = pytest.mark.cluster

NOW = ("--carbon-now", "--time=1")
LATER = ("--carbon-max-delay=1min", "--time=1")


@pytest.fixture(autouse=True)
def whole_again(trial):
    """Each test begins and ends with everything running."""
    yield
    if "slurmctld" not in trial.lab.processes:
        trial.lab.restart_slurmctld()
    for name in (DAEMON, *(f"agent-{node}" for node in trial.lab.nodes)):
        if name not in trial.lab.processes:
            trial.lab.processes.restart(name)
    trial.stack.wait_daemon()
    if trial.health()["status"] != "ok":
        trial.grid.plateau()
        restart_daemon(trial)


def tell(text):
    """For those who run pytest with -rP and want to see how fast things were."""
    sys.stdout.write(f"{text}\n")


def restart_daemon(trial):
    trial.lab.processes.restart(DAEMON)
    trial.stack.wait_daemon()


def outbox(trial, node):
    return list((trial.lab.spool / node / "outbox").iterdir())


def check_charged_once(trial, row):
    assert row["energy_j"] == sum(one["energy_j"] for one in row["evidence"]) > 0
    assert trial.charged(row) == {"mg": row["mg"], "energy_j": row["energy_j"]}


def check_no_hole(trial, node):
    assert all(before[1] == after[0] for before, after in pairwise(trial.timeline(node)))


def log_since(trial, mark):
    lines = trial.daemon_log[mark:].splitlines()
    assert not any("Traceback" in line for line in lines)
    return lines


def test_the_daemon_is_killed_while_a_job_is_deferred(trial):
    valley_at = trial.valley(in_s=15)
    job, _ = trial.csbatch(ADA, *LATER, "--job-name=orphan", "--wrap", "sleep 5")
    assert trial.start_time(job) == valley_at
    trial.lab.processes.kill(DAEMON)
    assert DAEMON not in trial.lab.processes
    trial.wait_state(job, "COMPLETED", timeout_s=40)
    assert valley_at <= trial.start_time(job) <= valley_at + 3
    node = trial.shown(job, "NodeList")
    kept = outbox(trial, node)
    assert kept, "the agent keeps what it cannot deliver"
    trial.stack.start_daemon()
    (row,) = trial.settled(job)
    assert row["deferred_s"] > 0
    assert row["saved_mg"] > 0
    assert trial.uncovered_s(row) <= 1.5
    check_charged_once(trial, row)
    trial.until(lambda: not outbox(trial, node), "the outbox to empty")
    check_no_hole(trial, node)
    tell(
        f"killed: started {row['started_at'] - valley_at} s after its time, "
        f"{len(kept)} readings kept, {row['energy_j']} J, coverage {row['coverage']:.3f}"
    )


def test_no_daemon_when_a_job_is_submitted(trial):
    trial.plateau()
    trial.lab.processes.stop(DAEMON)
    began = time.monotonic()
    done = trial.stack.run(BEN, "csbatch", *LATER, "--job-name=lonely", "--wrap", "sleep 4")
    took_s = time.monotonic() - began
    job = int(done.stdout.split()[-1])
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "warning" in done.stderr
    assert f"job {job} is submitted" in done.stderr
    assert trial.shown(job, "JobState") == "PENDING"
    trial.wait_state(job, "COMPLETED", timeout_s=trial.stack.settings.lease_s + 20)
    trial.stack.start_daemon()
    (row,) = trial.settled(job)
    waited_s = row["started_at"] - row["submitted_at"]
    assert trial.stack.settings.lease_s - 1 <= waited_s <= trial.stack.settings.lease_s + 3
    check_charged_once(trial, row)
    tell(f"no daemon: csbatch took {took_s:.2f} s, the job started after {waited_s} s")


def test_an_agent_is_killed_during_a_job(trial):
    node = trial.lab.nodes[1]
    job, _ = trial.csbatch(
        ADA, *NOW, f"--nodelist={node}", "--cpus-per-task=4", "--wrap", "sleep 18"
    )
    trial.wait_state(job, "RUNNING")
    trial.until(lambda: trial.rows(job)[0]["energy_j"], "its first reading")
    trial.lab.processes.kill(f"agent-{node}")
    back_at = time.time() + 5
    trial.until(lambda: time.time() >= back_at, "five seconds without an agent")
    trial.lab.processes.restart(f"agent-{node}")
    (row,) = trial.settled(job)
    assert trial.uncovered_s(row) <= 1.5
    check_charged_once(trial, row)
    check_no_hole(trial, node)
    spans = sorted((one["start_at"], one["end_at"]) for one in row["evidence"])
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert spans[0][0] <= row["started_at"] + 1
    assert spans[-1][1] >= row["ended_at"] - 1
    # Four of eight CPUs have half of the idle power, 40 W, all the time, and little beside it.
    assert row["energy_j"] == pytest.approx(40 * row["elapsed_s"], rel=0.1)
    tell(
        f"agent killed: {row['energy_j']} J in {row['elapsed_s']} s, "
        f"coverage {row['coverage']:.3f}, {len(spans)} readings"
    )


def test_the_controller_restarts_while_jobs_wait_and_run(trial):
    valley_at = trial.valley(in_s=15)
    running, _ = trial.csbatch(BEN, *NOW, "--job-name=running", "--wrap", "sleep 9")
    waiting, _ = trial.csbatch(ADA, *LATER, "--job-name=waiting", "--wrap", "sleep 4")
    trial.wait_state(running, "RUNNING")
    began = time.monotonic()
    trial.lab.restart_slurmctld()
    took_s = time.monotonic() - began
    assert trial.start_time(waiting) == valley_at
    (first,), (second,) = trial.settled(running), trial.settled(waiting)
    assert first["state"] == second["state"] == "COMPLETED"
    assert valley_at <= second["started_at"] <= valley_at + 3
    for row in (first, second):
        assert trial.uncovered_s(row) <= 1.5
        check_charged_once(trial, row)
    tell(
        f"controller restarted in {took_s:.1f} s: {first['energy_j']} J and "
        f"{second['energy_j']} J charged, deferral kept"
    )


def test_the_controller_is_down_for_a_while(trial):
    mark = len(trial.daemon_log)
    trial.lab.processes.stop("slurmctld")
    trial.until(lambda: trial.health()["status"] == "degraded", "the daemon to notice", 60)
    began = time.monotonic()
    trial.lab.restart_slurmctld()
    trial.until(lambda: trial.health()["status"] == "ok", "the daemon to recover", 90)
    recovered_s = time.monotonic() - began
    complaints = [line for line in log_since(trial, mark) if "tick adopt: " in line]
    assert complaints
    assert all("WARNING" in line for line in complaints)
    trial.lab.wait_nodes_idle()
    job, told = trial.csbatch(ADA, *NOW, "--wrap", "true")
    assert "predicted from" in told  # it may have started before it could be planned
    trial.wait_state(job, "COMPLETED")
    tell(
        f"controller down: {len(complaints)} lines such as {complaints[0][:160]!r}, "
        f"well again after {recovered_s:.1f} s"
    )


def test_no_agent_when_prolog_and_epilog_run(trial):
    node = trial.lab.nodes[2]
    trial.lab.processes.stop(f"agent-{node}")
    job, _ = trial.csbatch(ADA, *NOW, f"--nodelist={node}", "--wrap", "sleep 4")
    trial.wait_state(job, "COMPLETED", "FAILED")
    assert trial.shown(job, "JobState") == "COMPLETED"
    trial.lab.wait_nodes_idle(20)  # a prolog or an epilog that fails would have drained it
    events = {path.name.split(".")[0] for path in (trial.lab.spool / node / "events").iterdir()}
    assert events == {"begin", "end"}
    # What nobody has metered yet is missing, and never zero.
    trial.until(lambda: trial.rows(job)[0]["ended_at"], "its end in the ledger")
    (before,) = trial.rows(job)
    assert (before["quality"], before["energy_j"], before["mg"]) == ("missing", None, None)
    assert before["provisional"]
    trial.lab.processes.restart(f"agent-{node}")
    (row,) = trial.settled(job)
    assert trial.uncovered_s(row) <= 1.5
    assert row["energy_j"] == pytest.approx(10 * row["elapsed_s"], abs=12)
    check_charged_once(trial, row)
    check_no_hole(trial, node)
    tell(
        f"agent absent: missing at first, then {row['energy_j']} J {row['quality']} "
        f"with coverage {row['coverage']:.3f}"
    )


def test_readings_that_come_after_the_end_of_patience_are_charged(trial):
    node = trial.lab.nodes[3]
    trial.lab.processes.stop(f"agent-{node}")
    job, _ = trial.csbatch(BEN, *NOW, f"--nodelist={node}", "--wrap", "sleep 3")
    (before,) = trial.settled(job)
    assert (before["quality"], before["energy_j"], before["mg"]) == ("missing", None, None)
    trial.lab.processes.restart(f"agent-{node}")
    trial.until(lambda: trial.rows(job)[0]["energy_j"], "the late readings to count")
    (row,) = trial.settled(job)
    assert row["quality"] == "modelled"
    check_charged_once(trial, row)


def test_the_daemon_stops_gracefully(trial):
    running = trial.lab.processes.get(DAEMON)
    began = time.monotonic()
    mark = len(trial.daemon_log)
    # A child of another process: its status is read where it ends.
    trial.lab.processes.kill(DAEMON, signal.SIGTERM)
    _, status = os.waitpid(running.pid, 0)
    took_s = time.monotonic() - began
    assert os.waitstatus_to_exitcode(status) == 0
    assert took_s < 10
    assert log_since(trial, mark)[-1].endswith("stopped")
    assert not list((trial.stack.folder / "state").glob("ledger.db-*"))
    tell(f"stopped in {took_s:.2f} s with status 0")


def test_a_broken_provider_makes_nobody_wait(trial):
    ends_at = time.time() + 10
    trial.plateau(reach_s=10)
    mark = len(trial.daemon_log)
    trial.grid.spoil()
    trial.until(lambda: trial.health()["status"] == "degraded", "the daemon to notice")
    trial.until(lambda: time.time() > ends_at, "the end of the last forecast")
    (line, *_) = [one for one in log_since(trial, mark) if "tick intensity" in one]
    assert "forecasts.csv" in line or "actual.csv" in line
    job, told = trial.csbatch(ADA, *LATER, "--job-name=blind", "--wrap", "sleep 2")
    assert "forecast" in told
    trial.wait_state(job, "COMPLETED", timeout_s=15)
    trial.until(lambda: trial.rows(job)[0]["energy_j"], "its readings")
    assert trial.rows(job)[0]["provisional"]
    trial.grid.plateau()
    restart_daemon(trial)  # the provider is left alone for a minute after a failure
    (row,) = trial.settled(job)
    assert row["mg"] > 0
    check_charged_once(trial, row)
    tell(f"provider broken: {line[:200]!r}; csbatch told {told.splitlines()[0]!r}")


def test_a_tick_by_hand_beside_the_daemons_own(trial):
    valley_at = trial.valley(in_s=15)
    job, _ = trial.csbatch(BEN, *LATER, "--job-name=by-hand", "--wrap", "sleep 3")
    command = [trial.programs / "carbonsched", "tick", "plan", "--config", trial.stack.config_file]
    hands = [
        subprocess.Popen(
            command, user="slurm", group="slurm", env=trial.lab.env("slurm"), cwd="/",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    said = [(*hand.communicate(timeout=60), hand.returncode) for hand in hands]
    assert all(one[0].startswith("plan: ") and one[2] == 0 for one in said), said
    assert trial.start_time(job) == valley_at
    assert trial.health()["status"] == "ok"
    (row,) = trial.settled(job)
    assert valley_at <= row["started_at"] <= valley_at + 3
    check_charged_once(trial, row)


@pytest.mark.usefixtures("requeued")  # its two minutes pass while the next files are run
def test_nothing_was_refused_in_all_this(trial):
    rejected = [
        (path.name, json.loads(path.read_text()) if path.suffix == ".json" else "")
        for path in trial.lab.spool.glob("*/rejected/*")
    ]
    assert rejected == []
