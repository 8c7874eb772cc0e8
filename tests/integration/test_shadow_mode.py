"""Shadow mode on a real cluster: jobs start as without us, and the report says what plans saved."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace

import pytest
from scene import say
from trial import ADA, BEN, CLEAN, DIRTY

pytestmark = pytest.mark.cluster

LATER = ("--carbon-explain", "--carbon-max-delay=1min", "--time=1", "-c4")


@pytest.fixture(scope="module")
def shadow(trial):
    """The trial in shadow mode: when it began, a cleaner time ahead of two jobs, and these.

    One comes from a login host that knows of the mode, the other from one that does not.
    """
    settings, began_at = trial.stack.settings, int(time.time())
    old_site = trial.stack.site_file.read_text()
    trial.stack.reconfigure(replace(settings, mode="shadow"))
    new_site = trial.stack.site_file.read_text()
    try:
        valley_at = trial.valley(in_s=20)
        jobs = {"told": trial.csbatch(ADA, *LATER, "--job-name=told", "--wrap", "sleep 3")}
        trial.stack.site_file.write_text(old_site)
        jobs["leased"] = trial.csbatch(BEN, *LATER, "--job-name=leased", "--wrap", "sleep 3")
        trial.stack.site_file.write_text(new_site)
        yield began_at, valley_at, jobs
    finally:
        trial.stack.reconfigure(settings)
        trial.plateau()


def last_plan(trial, job):
    return trial.one("SELECT * FROM plans WHERE job_id = :job ORDER BY id DESC LIMIT 1", job=job)


def test_a_job_starts_at_once_and_its_plan_is_in_the_ledger(trial, shadow):
    _, valley_at, jobs = shadow
    job, said = jobs["told"]
    assert "--begin" not in said
    now, planned = re.search(r"CO2: (\S+ m?g) if started now, (\S+ m?g) by its plan", said).groups()
    assert now != planned
    (row,) = trial.settled(job)
    assert row["started_at"] - row["submitted_at"] <= 3
    assert (row["deferred_s"], row["saved_mg"]) == (0, None)
    plan = last_plan(trial, job)
    assert (plan["shadow"], plan["reason"], plan["start_at"]) == (1, "cleaner", valley_at)
    assert plan["best_mg"] <= plan["expected_mg"] < plan["baseline_mg"]


def test_a_lease_from_before_ends_at_once(trial, shadow):
    _, valley_at, jobs = shadow
    job, said = jobs["leased"]
    assert "--begin=now+" in said
    assert "shadow mode" in said
    (row,) = trial.settled(job)
    assert row["started_at"] - row["submitted_at"] < trial.stack.settings.lease_s - 4
    assert last_plan(trial, job)["start_at"] == valley_at


def test_the_report_says_what_waiting_would_have_saved(trial, shadow):
    began_at, valley_at, jobs = shadow
    rows = [trial.settled(job)[0] for job, _ in jobs.values()]
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(began_at))

    def report(*words):
        done = trial.carbonsched("shadow", "-S", since, *words, user="root")
        assert done.returncode == 0, done.stderr
        return done.stdout

    trial.until(
        lambda: json.loads(report("--json"))["total"]["deferred_reckoned_jobs"] == len(rows),
        "the hours that they would have run in",
    )
    total = json.loads(report("--json"))["total"]
    delays_s = [valley_at - row["started_at"] for row in rows]
    assert total["delay_mean_s"] == round(sum(delays_s) / len(rows))
    assert total["deferred_mg"] == sum(row["mg"] for row in rows)
    would_mg = total["deferred_mg"] * CLEAN / DIRTY
    assert total["deferred_would_mg"] == pytest.approx(would_mg, abs=len(rows))
    shown = report()
    say(shown)
    assert {ADA, BEN} <= {line.split()[0] for line in shown.splitlines() if line}
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_the_report_is_for_operators(trial, shadow):
    done = trial.carbonsched("shadow", user=ADA)
    assert (done.returncode, done.stdout) == (77, "")
    assert len(done.stderr.splitlines()) == 1
