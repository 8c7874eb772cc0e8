"""Budgets of single jobs on a real cluster: told by a signal, given a grace, then ended."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from scene import say
from stoppable import GRACE_S, stoppable_trial
from trial import ADA, BEN, check_evidence

from carbonsched.services.budgets import NOTE

pytestmark = pytest.mark.cluster

WORK = """\
#!/bin/bash
# Works until it is ended; says what it was told, and keeps a checkpoint where it is asked to.
trap 'echo told; echo here > {name}.at' {signal}
trap 'echo terminated' TERM
for ((i = 0; i < {beats}; i++)); do
  timeout 0.2 sh -c 'while :; do :; done'
done
echo worked to the end
"""
MILLIGRAMS = 10
NOW = "--carbon-now"


@pytest.fixture(scope="module")
def cluster(lab_folder, programs):
    """A trial of its own."""
    with stoppable_trial(lab_folder / "budget", programs) as trial:
        trial.plateau()
        yield trial


def submit(trial, user, name, *options, signal="USR1", beats=500):
    """A job that works; its id, and what it prints."""
    home = trial.lab.home(user)
    script = home / f"{name}.sh"
    script.write_text(WORK.format(name=home / name, signal=signal, beats=beats))
    printed = home / f"{name}.out"
    job, told = trial.csbatch(
        user, NOW, *options, "--time=2", f"--job-name={name}", f"--output={printed}", script
    )
    return SimpleNamespace(id=job, told=told, lines=lambda: printed.read_text().splitlines())


def case(trial, job):
    """The job's row among the budgets, if there is one."""
    rows = trial.select("SELECT * FROM budgets WHERE job_id = :id", id=job.id)
    assert len(rows) <= 1
    return rows[0] if rows else None


def state(trial, job):
    """How far it has come with its budget."""
    found = case(trial, job)
    return None if found is None else found["state"]


def comment(trial, job):
    """What Slurm shows as the job's AdminComment."""
    shown = trial.lab.slurm("scontrol", "show", "job", str(job.id)).splitlines()
    (line,) = [one.strip() for one in shown if "AdminComment=" in one]
    return line.removeprefix("AdminComment=")


def accounted(trial, user, job):
    """What ``csacct`` says of its budget."""
    words = ("-P", "-n", "-o", "Budget,BudgetState,BudgetWhy", "-j", str(job.id))
    return trial.stack.run(user, "csacct", *words).stdout.strip().split("|")


@pytest.fixture(scope="module")
def jobs(cluster):
    """Jobs with and without budgets; the daemon is killed in the grace of one of them."""
    budget = f"--carbon-budget={MILLIGRAMS}mg"
    found = {
        "plain": submit(cluster, BEN, "plain", budget),
        "within": submit(cluster, ADA, "within", "--carbon-budget=1kg", beats=40),
        "saved": submit(cluster, ADA, "saved", budget, "--carbon-checkpoint"),
    }
    cluster.until(lambda: state(cluster, found["saved"]) == "signalled", "the signal", 60)
    cluster.lab.processes.kill("carbonschedd")
    found["saved"].at_the_kill = cluster.shown(found["saved"].id, "JobState")
    cluster.stack.start_daemon()
    for name in ("saved", "plain"):
        cluster.wait_state(found[name].id, "CANCELLED", timeout_s=60)
        found[name].comment = comment(cluster, found[name])
    cluster.wait_state(found["within"].id, "COMPLETED")
    return found


def test_a_job_that_used_up_its_budget_saves_its_work_and_is_ended(cluster, jobs):
    job = jobs["saved"]
    (row,) = cluster.settled(job.id)
    found = case(cluster, job)
    assert found["used_mg"] >= MILLIGRAMS
    assert job.lines().count("told") == 1
    assert (cluster.lab.home(ADA) / "saved.at").read_text() == "here\n"
    assert row["ended_at"] - found["at"] >= GRACE_S - 1
    charged_mg = cluster.charged(row)["mg"]
    assert charged_mg >= MILLIGRAMS
    say(f"told at {found['used_mg']} mg of {MILLIGRAMS}, {charged_mg} mg charged in the end")


def test_a_daemon_that_is_killed_in_the_grace_ends_it_all_the_same(cluster, jobs):
    job = jobs["saved"]
    assert job.at_the_kill == "RUNNING"
    cluster.until(lambda: state(cluster, job) == "ended", "the end to be seen")


def test_a_job_without_a_checkpoint_is_told_to_terminate(cluster, jobs):
    job = jobs["plain"]
    cluster.until(lambda: state(cluster, job) == "ended", "the end to be seen")
    assert "terminated" in job.lines()
    assert "told" not in job.lines()


def test_a_job_within_its_budget_is_left_alone(cluster, jobs):
    job = jobs["within"]
    assert job.lines() == ["worked to the end"]
    assert state(cluster, job) is None


def test_what_was_used_is_charged_once_and_the_reason_is_told(cluster, jobs):
    for name, user in (("saved", ADA), ("plain", BEN)):
        (row,) = cluster.settled(jobs[name].id)
        check_evidence(cluster, row)
        budget, told, why = accounted(cluster, user, jobs[name])
        assert (budget, told) == (str(MILLIGRAMS), "ended")
        assert why.startswith(f"its budget of {MILLIGRAMS} mg is used up")
        assert jobs[name].comment == f"{NOTE}: ended, for {why}"
    assert accounted(cluster, ADA, jobs["within"])[1] == ""
