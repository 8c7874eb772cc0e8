"""One job as ``scontrol show job`` prints it, and what is sent to Slurm to stop one."""

from __future__ import annotations

import pytest

from carbonsched.cluster.command_line import CommandLineCluster
from carbonsched.cluster.standing import read_standing
from carbonsched.errors import ClusterError, ClusterRefusedError, ClusterUnavailableError
from carbonsched.ports import Standing

# Recorded from Slurm 22.05.8, with SLURM_TIME_FORMAT=%s; lines that are not read are left out.
ENDED = """\
JobId=1 JobName=w.py
   UserId=carbon-ada(1001) GroupId=carbon-ada(1001) MCS_label=N/A
   Priority=4294901759 Nice=0 Account=physics QOS=normal
   JobState=FAILED Reason=NonZeroExitCode Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=75:0
   RunTime=00:00:02 TimeLimit=01:00:00 TimeMin=N/A
   SubmitTime=1795879206 EligibleTime=1795879206
   AccrueTime=1795879206
   StartTime=1795879207 EndTime=1795879209 Deadline=N/A
   Command=/home/carbon-ada/w.py 75
   Power=
"""
RUNNING = (
    ENDED.replace("FAILED Reason=NonZeroExitCode", "RUNNING Reason=JobHeldAdmin")
    .replace("Requeue=1 Restarts=0", "Requeue=0 Restarts=3")
    .replace("75:0", "0:0")
)
LIE = "   StartTime=1795879207 EndTime=1795879208 Deadline=N/A"


def test_a_job_that_has_ended():
    assert read_standing(ENDED) == Standing(
        state="FAILED", reason="NonZeroExitCode", submitted_at=1_795_879_206, restarts=0,
        requeueable=True, ended_at=1_795_879_209, exit_status=75, exit_signal=0,
    )  # fmt: skip
    assert read_standing(ENDED.replace("75:0", "0:10")).exit_signal == 10


def test_the_end_that_slurm_foretells_of_a_running_job_is_none():
    found = read_standing(RUNNING)
    assert (found.state, found.reason, found.ended_at) == ("RUNNING", "JobHeldAdmin", None)
    assert (found.requeueable, found.restarts) == (False, 3)


@pytest.mark.parametrize(
    "text",
    [
        ENDED.replace("JobName=w.py", f"JobName=x\n{LIE}"),
        ENDED.replace("   Power=", f"   Comment=x\n{LIE}"),
        ENDED.replace("   Power=", "   Comment=x\n   JobState=FAILED Reason=None Dependency="),
        ENDED.replace("EndTime", "End"),
        ENDED.replace("SubmitTime=1795879206", "SubmitTime=Unknown"),
        "",
    ],
    ids=["name", "comment", "state", "no end", "no submission", "nothing"],
)
def test_what_a_user_could_have_written_is_not_believed(text):
    with pytest.raises(ClusterError, match="scontrol show job"):
        read_standing(text)


@pytest.fixture
def slurm(tmp_path):
    """Makes a cluster whose commands note their words, print something and end with a status."""

    def make(printed="", status=0):
        for name in ("scontrol", "scancel"):
            body = f'echo {name} "$@" >> {tmp_path}/words\ncat {tmp_path}/printed >&2'
            (tmp_path / name).write_text(f"#!/bin/sh\n{body}\nexit {status}\n")
            (tmp_path / name).chmod(0o755)
        (tmp_path / "printed").write_text(printed)
        return CommandLineCluster("lab", tmp_path, None, 2.0, 1000.0, by_name=True)

    make.words = lambda: (tmp_path / "words").read_text().splitlines()
    return make


def test_the_signal_reaches_batch_script_and_steps_and_requeues_know_their_jobs(slurm):
    cluster = slurm()
    cluster.signal(7, "USR1")
    cluster.requeue(7, ended=False)
    cluster.requeue(7, ended=True)
    assert slurm.words() == [
        "scancel --clusters=lab --full --signal=USR1 7",
        "scontrol --clusters=lab requeue Incomplete 7",
        "scontrol --clusters=lab requeue 7",
    ]


def test_a_job_that_slurm_has_forgotten(slurm):
    assert slurm("slurm_load_jobs error: Invalid job id specified", 1).standing(7) is None


@pytest.mark.parametrize(
    ("printed", "error"),
    [
        ("Requested operation is presently disabled for job 7", ClusterRefusedError),
        ("slurm_load_jobs error: Unable to contact slurm controller", ClusterUnavailableError),
    ],
)
def test_a_refusal_is_told_from_silence(slurm, printed, error):
    cluster = slurm(printed, 1)
    with pytest.raises(error):
        cluster.signal(7, "USR1")
    with pytest.raises(error):
        cluster.requeue(7, ended=False)
