"""The quota gate inside a real slurmctld: no way of submitting goes around it."""

from __future__ import annotations

import pwd
import time

import pytest

from carbonsched.cluster.command_line import CommandLineCluster

pytestmark = pytest.mark.cluster
ADA, BEN = "carbon-ada", "carbon-ben"


@pytest.fixture
def cluster(lab):
    return CommandLineCluster(lab.config.cluster, None, lab.slurm_conf, 20, 50)


@pytest.fixture
def quota(lab):
    """Writes the snapshot as the daemon does, atomically; it is gone after the test."""

    def write(*lines, valid_s=600, end_s=5000, rate=1000):
        now = int(time.time())
        head = f"carbonsched-quota 1 {now} {now + valid_s} {now + end_s} {rate}"
        names = {user: pwd.getpwnam(user).pw_uid for user in (ADA, BEN)}
        text = "\n".join([head, *(line.format(**names) for line in lines), "end", ""])
        lab.quota_file.parent.mkdir(mode=0o755, exist_ok=True)
        beside = lab.quota_file.with_suffix(".new")
        beside.write_text(text)
        beside.chmod(0o644)
        beside.replace(lab.quota_file)
        return now + end_s

    yield write
    lab.quota_file.unlink(missing_ok=True)


@pytest.fixture
def submit(lab):
    """Submits as a user and cancels at the end; gives the id and what the user was told."""
    ids = []

    def run(user, *words, stdin=""):
        done = lab.run_as(user, ["sbatch", "--parsable", "-o", "/dev/null", *words], stdin=stdin)
        ids.append(done.stdout.strip())
        return int(done.stdout), done.stderr

    yield run
    lab.slurm("scancel", *ids)


ADA_OUT = f"user {ADA} {{{ADA}}} 0"


def test_an_exhausted_user_is_put_off_and_told_and_others_are_not(quota, submit, cluster):
    end_at = quota(ADA_OUT, f"user {BEN} {{{BEN}}} 1000000")
    job_id, said = submit(ADA, "--wrap", "true")
    assert f"the carbon quota of user {ADA} is used up" in said
    job = cluster.job(job_id)
    assert (job.pending, job.eligible_at) == (True, end_at)
    assert job.admin_comment == (
        f"carbonsched:quota the carbon quota of user {ADA} is used up (until={end_at})"
    )
    other_id, said = submit(BEN, "--wrap", "sleep 30")
    assert said == ""
    assert cluster.job(other_id).eligible_at < end_at - 1000


def test_an_exhausted_account_binds_its_users(quota, submit, cluster):
    end_at = quota("account physics - -5")
    job_id, said = submit(ADA, "--wrap", "true")
    assert "the carbon quota of account physics is used up" in said
    assert cluster.job(job_id).eligible_at == end_at
    assert submit(BEN, "--wrap", "true")[1] == ""


def test_arrays_and_heterogeneous_jobs_and_stdin_pass_the_same_gate(quota, submit, cluster):
    end_at = quota(ADA_OUT)
    array, _ = submit(ADA, "--array=1-5", "--wrap", "true")
    het, _ = submit(ADA, "-n1", ":", "-n2", "--wrap", "true")
    script, _ = submit(ADA, stdin="#!/bin/sh\n#SBATCH --begin=now\ntrue\n")
    assert {cluster.job(one).eligible_at for one in (array, het, script)} == {end_at}
    parts = [job for job in cluster.jobs() if job.het_job_id == het]
    assert {part.eligible_at for part in parts} == {end_at}


def test_the_owners_own_begin_is_kept_in_mind(quota, submit, cluster):
    end_at = quota(ADA_OUT)
    job_id, _ = submit(ADA, "--begin=now+600", "--wrap", "true")
    job = cluster.job(job_id)
    begin = int(job.admin_comment.split("begin=")[1].split(" ")[0])
    assert abs(begin - job.key.submitted_at - 600) <= 1
    assert job.eligible_at == end_at
    later, said = submit(ADA, "--begin=now+2hours", "--wrap", "true")
    assert (said, cluster.job(later).admin_comment) == ("", "")


def test_a_burst_between_two_snapshots_is_stopped(quota, submit, cluster):
    end_at = quota(f"user {ADA} {{{ADA}}} 2500")
    ids = [submit(ADA, "-n2", "-t30", "--wrap", "sleep 60")[0] for _ in range(4)]
    assert [cluster.job(one).eligible_at == end_at for one in ids] == [False, False, False, True]


def test_the_owner_cannot_move_it_and_root_can(quota, submit, cluster, lab):
    end_at = quota(ADA_OUT)
    job_id, _ = submit(ADA, "--wrap", "sleep 30")
    tried = lab.run_as(ADA, ["scontrol", "update", f"JobId={job_id}", "StartTime=now"], check=False)
    assert tried.returncode != 0
    assert cluster.job(job_id).eligible_at == end_at
    renamed = ["scontrol", "update", f"JobId={job_id}", "JobName=other"]
    assert lab.run_as(ADA, renamed).returncode == 0
    cluster.set_start(job_id, 0, "carbonsched: granted")
    lab.wait_job_state(job_id, "RUNNING", timeout_s=15)


def test_csbatch_without_its_site_file_cannot_go_around_it_either(quota, lab, cluster):
    end_at = quota(ADA_OUT)
    done = lab.run_as(
        ADA,
        ["csbatch", "--carbon-now", "--parsable", "-o", "/dev/null", "--wrap", "true"],
        {"CARBONSCHED_SITE": "/nonexistent/site.json"},
    )
    assert cluster.job(int(done.stdout)).eligible_at == end_at
    assert f"the carbon quota of user {ADA} is used up" in done.stderr
    lab.slurm("scancel", done.stdout.strip())


@pytest.mark.parametrize("case", ["missing", "stale", "cut off", "not ours"])
def test_without_a_good_snapshot_every_job_passes(quota, submit, cluster, lab, case):
    if case == "stale":
        quota(ADA_OUT, valid_s=-1)
    elif case != "missing":
        quota(ADA_OUT)
        text = lab.quota_file.read_text()
        lab.quota_file.write_text(text[:-5] if case == "cut off" else "\x00\xff" + text)
    job_id, said = submit(ADA, "--wrap", "sleep 30")
    assert said == ""
    lab.wait_job_state(job_id, "RUNNING", timeout_s=15)
