"""Nobody starves on a real cluster: a job that others pass starts within its delay, with its age.

One node whose room a job needs whole; Slurm orders its queue by age alone.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from lab import Lab
from scene import say
from trial import ADA, BEN, CLEAN, Grid, Trial

from carbonsched.planning.pressing import PRESSED

pytestmark = pytest.mark.cluster

MAX_DELAY_S, LEASE_S = 75, 6
NEAR_S = 4
WHOLE, HALF = "-c8", "-c4"
NOW = ("--carbon-now", "--time=1")
PATIENT = ("--carbon-max-delay=3h", "--time=1")
AGE_WEIGHT, AGE_MAX_S = 1_000_000, 3600
BY_AGE = (
    "PriorityType=priority/multifactor",
    f"PriorityWeightAge={AGE_WEIGHT}",
    "PriorityMaxAge=01:00:00",
    "PriorityCalcPeriod=1",  # minutes, the least that Slurm takes
)
ACCRUE_ALWAYS = "PriorityFlags=ACCRUE_ALWAYS"


@pytest.fixture(scope="module")
def cluster(lab_folder, programs):
    """A trial of its own, with one node and a short lease."""
    config = Trial.config(lab_folder / "starving", programs)
    # The line beside ours in slurm.conf says priority/basic; of two the last counts.
    with Lab.started(replace(config, nodes=1, slurm_conf=BY_AGE)) as lab:
        yield Trial(lab, programs, Grid(lab_folder / "starving-grid"), lease_s=LEASE_S, hour_s=1.0)


def put_off(trial, job, in_s):
    """A new forecast, by which the job waits for a window that begins then; when that is."""
    valley_at = trial.valley(in_s)
    trial.until(lambda: moment(trial, job, "EligibleTime") == valley_at, f"job {job} to be put off")
    return valley_at


def put_off_again(trial, job, window_at, in_s):
    """The same when the window that the job waits for is near."""
    trial.until(lambda: time.time() >= window_at - NEAR_S, "the window to be near")
    return put_off(trial, job, in_s)


def submitted(trial, user, *options, sleep_s=2):
    """One job more; its id."""
    return trial.csbatch(user, *options, "--wrap", f"sleep {sleep_s}")[0]


def why(trial, user, job):
    """What csqueue says of a job, as one line."""
    return " ".join(trial.stack.run(user, "csqueue", "--why", "-j", str(job)).stdout.split())


def moment(trial, job, field):
    """An instant of a pending job, in seconds since the epoch."""
    return int(time.mktime(time.strptime(trial.shown(job, field), "%Y-%m-%dT%H:%M:%S")))


def ages(trial, *jobs):
    """What Slurm makes of the ages of jobs in its queue; since when the first of them has one."""
    told = trial.lab.slurm("sprio", "--noheader", "--format=%i %Y %A")
    say(f"sprio (job, priority, age):\n{told}")
    rows = {int(job): int(age) for job, _, age in map(str.split, told.splitlines())}
    by_priority = ("--noheader", "--states=PENDING", "--sort=-p,i", "--format=%i")
    order = map(int, trial.lab.slurm("squeue", *by_priority).split())
    return SimpleNamespace(
        factor={job: rows[job] for job in jobs},
        order=[job for job in order if job in jobs],
        at=int(time.time()),
        since=moment(trial, jobs[0], "AccrueTime"),
        released_at=moment(trial, jobs[0], "EligibleTime"),
        submitted_at=moment(trial, jobs[0], "SubmitTime"),
    )


def weight_of(age_s):
    """What an age adds to a priority."""
    return AGE_WEIGHT * age_s // AGE_MAX_S


@pytest.fixture(scope="module")
def passed(cluster):
    """A job that was put off three times, and what others did while it waited.

    At last they want more than the node has. Then the clean window moves beyond the job's delay:
    those that have time follow it.
    """
    trial = cluster
    first_at = trial.valley(in_s=12)
    starving = submitted(trial, ADA, f"--carbon-max-delay={MAX_DELAY_S}s", "--time=1", WHOLE)
    latest_at = moment(trial, starving, "SubmitTime") + MAX_DELAY_S
    trial.until(lambda: moment(trial, starving, "EligibleTime") == first_at, "the first plan")
    second_at = put_off_again(trial, starving, first_at, in_s=12)
    last_at = put_off_again(trial, starving, second_at, in_s=20)
    passing = submitted(trial, BEN, *NOW, HALF, sleep_s=10)
    trial.until(lambda: moment(trial, starving, "EligibleTime") < last_at, "it to be pulled in")
    told = why(trial, ADA, starving)
    never_deferred = trial.sbatch(BEN, "--time=1", WHOLE, "--wrap", "sleep 2")
    behind = submitted(trial, BEN, *NOW, HALF)
    measured = ages(trial, starving, never_deferred)
    patient = [submitted(trial, BEN, *PATIENT, WHOLE) for _ in range(2)]
    beyond_at = trial.valley(in_s=latest_at + 30 - int(time.time()))
    trial.until(
        lambda: all(moment(trial, job, "EligibleTime") >= beyond_at for job in patient), "deferrals"
    )
    return SimpleNamespace(
        starving=starving,
        latest_at=latest_at,
        deferred_to=(first_at, second_at, last_at),
        told=told,
        ages=measured,
        never_deferred=never_deferred,
        passing=passing,
        behind=behind,
        patient=patient,
    )


def test_a_job_that_is_put_off_again_and_again_starts_within_its_delay(cluster, passed):
    (row,) = cluster.settled(passed.starving)
    plans = cluster.select("SELECT * FROM plans WHERE job_id = :job ORDER BY id", job=row["job_id"])
    say("\n".join(f"{one['made_at']}: {one['text']}" for one in plans))
    deferrals = tuple(one["start_at"] for one in plans if one["start_at"] > one["made_at"])
    assert deferrals == passed.deferred_to
    assert {one["latest_at"] for one in plans} == {passed.latest_at}
    pulled_in = plans[-1]
    assert (pulled_in["reason"], pulled_in["start_at"]) == ("no-room", pulled_in["made_at"])
    assert row["started_at"] < deferrals[-1]
    assert row["started_at"] <= row["submitted_at"] + MAX_DELAY_S
    say(
        f"started {row['started_at'] - row['submitted_at']} s after its submission, of"
        f" {MAX_DELAY_S} s; {row['started_at'] - pulled_in['made_at']} s of that in the queue"
    )


def test_csqueue_tells_why_it_waits_no_longer(passed):
    say(passed.told)
    assert f"Decided: starts now: {PRESSED}" in passed.told


def test_others_run_around_it_or_are_put_off(cluster, passed):
    (starving,) = cluster.settled(passed.starving)
    (passing,) = cluster.settled(passed.passing)
    (behind,) = cluster.settled(passed.behind)
    # Half of the node was free for this one all the while that the whole job stood before it.
    assert passing["started_at"] <= behind["submitted_at"] < passing["ended_at"]
    assert passing["started_at"] < starving["started_at"] <= behind["started_at"]
    for job in passed.patient:
        assert cluster.shown(job, "JobState") == "PENDING"
        assert moment(cluster, job, "EligibleTime") > passed.latest_at


def test_a_deferred_job_goes_before_one_of_its_size_that_never_was(cluster, passed):
    job, other = passed.starving, passed.never_deferred
    assert passed.ages.order == [job, other]
    # By default its age counts from the begin time that Slurm first saw, and is not moved with it:
    # the lease's end or, where the plan came sooner than slurmctld looked, the first planned start.
    first = passed.deferred_to[0] - passed.ages.submitted_at
    waited_in_vain_s = passed.ages.since - passed.ages.submitted_at
    say(f"no age for {waited_in_vain_s} s; lease {LEASE_S} s, first planned start after {first} s")
    assert LEASE_S - 1 <= waited_in_vain_s <= first + 1
    aged_s = passed.ages.released_at - passed.ages.since
    assert aged_s > 0
    assert passed.ages.factor[job] >= weight_of(aged_s) > 2 * passed.ages.factor[other]
    (first,), (second,) = cluster.settled(job), cluster.settled(other)
    assert first["started_at"] < second["started_at"]


def released_soon(trial):
    """The ages of a job that was let in long before its first planned start, and of a later one."""
    deferred_to_at = trial.valley(in_s=60)
    deferred = submitted(trial, ADA, *PATIENT, WHOLE)
    trial.until(lambda: moment(trial, deferred, "EligibleTime") == deferred_to_at, "a deferral")
    full = trial.sbatch(BEN, "--time=1", WHOLE, "--wrap", "sleep 15")
    trial.wait_state(full, "RUNNING")
    old_at = moment(trial, deferred, "SubmitTime") + NEAR_S
    trial.until(lambda: time.time() >= old_at, "an age that can be told from none")
    trial.plateau(level=CLEAN)
    trial.until(lambda: moment(trial, deferred, "EligibleTime") < deferred_to_at, "its release")
    never_deferred = trial.sbatch(BEN, "--time=1", WHOLE, "--wrap", "true")
    measured = ages(trial, deferred, never_deferred)
    trial.lab.slurm("scancel", *map(str, (deferred, full, never_deferred)))
    trial.wait_state(full, "CANCELLED")
    return measured, measured.factor[deferred]


def test_only_with_accrue_always_a_job_has_the_age_of_its_whole_wait(cluster, passed):
    trial = cluster
    for job in (passed.never_deferred, passed.behind):
        trial.wait_state(job, "COMPLETED")
    trial.lab.slurm("scancel", *map(str, passed.patient))
    before, factor = released_soon(trial)
    say(f"by default its age counts from {before.since - before.submitted_at} s on")
    assert before.since - before.submitted_at >= LEASE_S - 1
    assert factor <= weight_of(max(0, before.at - before.since))
    with trial.lab.slurm_conf.open("a") as conf:
        conf.write(f"{ACCRUE_ALWAYS}\n")
    trial.lab.slurm("scontrol", "reconfigure")
    config = trial.lab.slurm("scontrol", "show", "config")
    assert re.search(r"PriorityFlags\s+= ACCRUE_ALWAYS", config)
    after, factor = released_soon(trial)
    assert after.since == after.submitted_at
    # What is told is the age when the priority was last reckoned, which may be a second before.
    assert factor >= weight_of(after.released_at - after.submitted_at - 1) > 0
