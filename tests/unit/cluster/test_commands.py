"""Running commands: environment, time limit, rate, and how failures are told apart."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.cluster.command_line import MAX_NOTE, CommandLineCluster
from carbonsched.cluster.commands import SlurmCommands
from carbonsched.cluster.rate import TokenBucket
from carbonsched.errors import ClusterError, ClusterRefusedError, ClusterUnavailableError


@pytest.fixture
def slurm(tmp_path):
    """Writes small programs in place of Slurm's, and makes the cluster that runs them."""

    def make(**programs):
        for name, body in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
            (tmp_path / name).chmod(0o755)
        return CommandLineCluster("lab", tmp_path, None, 2.0, 1000.0, now=lambda: 1000.5)

    make.folder = tmp_path
    return make


def test_no_variable_of_the_caller_changes_the_output(tmp_path):
    (tmp_path / "squeue").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "squeue").chmod(0o755)
    callers = {
        "SQUEUE_FORMAT": "x",
        "SACCT_FEDERATION": "1",
        "SLURM_TIME_FORMAT": "relative",
        "SLURM_CLUSTERS": "other",
        "SBATCH_X": "1",
        "SLURM_CONF": "/old",
        "HOME": "/home/x",
        "TZ": "Asia/Tokyo",
    }
    commands = SlurmCommands(tmp_path, tmp_path / "slurm.conf", 5, TokenBucket(100), callers)
    lines = set(commands.ask_controller("squeue").output.splitlines())
    assert {
        f"SLURM_CONF={tmp_path}/slurm.conf",
        "SLURM_TIME_FORMAT=%s",
        "TZ=UTC",
        "HOME=/home/x",
    } <= lines
    names = {line.partition("=")[0] for line in lines}
    assert names.isdisjoint({"SQUEUE_FORMAT", "SACCT_FEDERATION", "SLURM_CLUSTERS", "SBATCH_X"})


def test_a_command_that_hangs_is_given_up(slurm):
    cluster = slurm(sinfo="exec sleep 30")
    began = time.monotonic()
    with pytest.raises(ClusterUnavailableError, match="no answer within 2 s"):
        cluster.nodes()
    assert time.monotonic() - began < 6


def test_a_missing_command_names_the_setting(slurm):
    with pytest.raises(ClusterUnavailableError, match=r"slurm\.bin_dir"):
        slurm().nodes()


@pytest.mark.parametrize(
    "said",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "sacct: error: Problem talking to the database: Connection refused",
        "slurm_update error: Socket timed out on send/recv operation",
        "error: If munged is up, restart with --num-threads=10",
    ],
)
def test_nobody_there_is_unavailable(slurm, said):
    programs = dict.fromkeys(("squeue", "sacct", "sinfo", "scontrol"), f"echo '{said}' >&2; exit 1")
    cluster = slurm(**programs)
    for call in (
        cluster.jobs,
        cluster.nodes,
        lambda: cluster.history(0, 10),
        lambda: cluster.set_start(7, 2000, "note"),
    ):
        with pytest.raises(ClusterUnavailableError, match=r"^[^\n]+$"):
            call()


@pytest.mark.parametrize(
    "said",
    [
        "Job is no longer pending execution for job 7",
        "Invalid job id specified for job 7",
        "Access/permission denied for job 7",
    ],
)
def test_a_refusal_is_told_from_that(slurm, said):
    with pytest.raises(ClusterRefusedError, match=said):
        slurm(scontrol=f"echo '{said}' >&2; exit 1").set_start(7, 2000, "note")


def test_an_array_of_which_the_pending_tasks_moved_is_moved(slurm):
    said = "7_1-2: Job is no longer pending execution\\n7_3-10: No error\\n"
    cluster = slurm(
        scontrol=f"printf '{said}' >&2; printf '%s\\n' \"$@\" > {slurm.folder}/words; exit 1"
    )
    cluster.set_start(7, 2000, "it's\nnoted")
    assert (slurm.folder / "words").read_text().splitlines() == [
        "update",
        "JobId=7",
        "StartTime=uts2000",
        "AdminComment=it's noted",
    ]


# Ending a job, and remarking on it


def words_of(slurm):
    """What the last program was told, which wrote it down."""
    return (slurm.folder / "words").read_text().splitlines()


def test_a_job_is_ended_as_its_owner_would_do_it(slurm):
    slurm(scancel=f"printf '%s\\n' \"$@\" > {slurm.folder}/words").cancel(7)
    assert words_of(slurm) == ["7"]


def test_a_remark_is_one_line_of_which_nothing_is_a_word_of_slurms(slurm):
    cluster = slurm(scontrol=f"printf '%s\\n' \"$@\" > {slurm.folder}/words")
    cluster.remark(7, "it's over\nStartTime=now é\x1b[2J")
    assert words_of(slurm) == ["update", "JobId=7", "AdminComment=it's over StartTime=now é [2J"]
    cluster.remark(7, "é" * 1000)
    (*_, comment) = words_of(slurm)
    assert comment == "AdminComment=" + "é" * (MAX_NOTE // 2), "cut between letters"


@pytest.mark.parametrize(
    ("call", "program", "refused"),
    [
        (lambda cluster: cluster.cancel(7), "scancel", "job 7 was not ended"),
        (lambda cluster: cluster.remark(7, "x"), "scontrol", "job 7 got no comment"),
    ],
    ids=["cancel", "remark"],
)
def test_a_job_that_cannot_be_ended_or_remarked_on_is_told_from_slurm_that_does_not_answer(
    slurm, call, program, refused
):
    said = "Invalid job id specified"
    with pytest.raises(ClusterRefusedError, match=f"^{refused}: {said}$"):
        call(slurm(**{program: f"echo '{said}' >&2; echo more >&2; exit 1"}))
    silent = "echo 'error: Unable to contact slurm controller (connect failure)' >&2; exit 1"
    with pytest.raises(ClusterUnavailableError, match=r"^[^\n]+$"):
        call(slurm(**{program: silent}))


def test_why_a_remark_was_refused_may_stand_in_the_output(slurm):
    with pytest.raises(ClusterRefusedError, match="got no comment: Access/permission denied"):
        slurm(scontrol="echo 'Access/permission denied'; exit 1").remark(7, "x")


def test_a_cluster_that_is_known_by_name_is_named_to_both(slurm):
    for program in ("scancel", "scontrol"):
        slurm(**{program: f"printf '%s\\n' \"$@\" > {slurm.folder}/words"})
    cluster = CommandLineCluster("north", slurm.folder, None, 2.0, 1000.0, by_name=True)
    cluster.cancel(7)
    assert words_of(slurm) == ["--clusters=north", "7"]
    cluster.remark(7, "x")
    assert words_of(slurm) == ["--clusters=north", "update", "JobId=7", "AdminComment=x"]


@pytest.mark.parametrize("start_at", [1000, 0])
def test_a_start_that_is_not_ahead_is_now(slurm, start_at):
    slurm(scontrol=f"printf '%s\\n' \"$@\" > {slurm.folder}/words").set_start(7, start_at, "x")
    assert "StartTime=now" in (slurm.folder / "words").read_text().splitlines()


def test_a_squeue_without_json_is_asked_for_it_only_once(slurm):
    body = (
        f'echo "$1" >> {slurm.folder}/calls; [ "$1" = --json ] && '
        "{ echo \"squeue: unrecognized option '--json'\" >&2; exit 1; }; exit 0"
    )
    cluster = slurm(squeue=body)
    assert list(cluster.jobs()) == []
    assert cluster.job(7) is None
    assert (slurm.folder / "calls").read_text().split() == ["--json", "-h", "-h"]


def test_broken_json_falls_back_for_that_once(slurm):
    cluster = slurm(squeue='[ "$1" = --json ] && echo "{"; exit 0')
    assert list(cluster.jobs()) == []


def test_any_other_failure_is_one_line(slurm):
    with pytest.raises(ClusterError, match=r"^sacct: it broke$"):
        slurm(sacct="echo it broke >&2; echo twice >&2; exit 1").history(0, 10)


class FakeTime:
    """A clock that sleeping moves."""

    def __init__(self):
        self.now = 0.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@given(per_s=st.floats(0.5, 50), calls=st.integers(1, 60), pauses=st.lists(st.floats(0, 3)))
def test_never_more_calls_than_allowed(per_s, calls, pauses):
    fake = FakeTime()
    bucket = TokenBucket(per_s, fake.clock, fake.sleep)
    taken = []
    for index in range(calls):
        fake.now += pauses[index] if index < len(pauses) else 0.0
        bucket.take()
        taken.append(fake.now)
    for first, start in enumerate(taken):
        for last in range(first, calls):
            allowed = max(1.0, per_s) + (taken[last] - start) * per_s
            assert last - first + 1 <= allowed + 1e-6


def test_a_caller_within_the_bound_does_not_wait():
    fake = FakeTime()
    bucket = TokenBucket(5, fake.clock, fake.sleep)
    for _ in range(5):
        bucket.take()
    assert fake.now == 0.0


def test_no_calls_at_all_makes_no_sense():
    with pytest.raises(ValueError, match="must be positive"):
        TokenBucket(0)


SACCT = """
echo "$*" >> "$0.asked"
case "$*" in
  *JobIDRaw,Submit,End,State*) fields="7 1000 1100 COMPLETED" ;;
  *ConsumedEnergyRaw*) {energy} ;;
  *) fields="7 7 1000 1000 1000 1100 COMPLETED None 5 ada phy main 1 1 1 cpu=1 n1 5 x y z" ;;
esac
for word in "$@"; do case "$word" in --delimiter=*) ends="${{word#--delimiter=}}" ;; esac; done
for field in $fields; do printf '%s%s' "$field" "$ends"; done
echo
"""
ROW = "7 7 1000 1000 1000 1100 COMPLETED None 5 ada phy main 1 1 1 cpu=1 n1 5 x y z"


def asked(slurm):
    """How often sacct was asked for jobs with and without energy."""
    lines = (slurm.folder / "sacct.asked").read_text().splitlines()
    jobs = [line for line in lines if "TimelimitRaw" in line]
    told = sum("ConsumedEnergyRaw" in line for line in jobs)
    return told, len(jobs) - told


def test_slurms_energy_comes_with_the_jobs(slurm):
    cluster = slurm(sacct=SACCT.format(energy=f'fields="{ROW} 1234"'))
    for jobs in (cluster.history(0, 2000), cluster.runs([7])):
        assert [(job.key.job_id, job.slurm_energy_j) for job in jobs] == [(7, 1234)]
    assert asked(slurm) == (2, 0)


def test_a_sacct_without_the_field_is_asked_for_it_once(slurm):
    refusal = 'echo "sacct: fatal: Invalid field requested: \\"ConsumedEnergyRaw\\"" >&2; exit 1'
    cluster = slurm(sacct=SACCT.format(energy=refusal))
    for _ in range(3):
        (job,) = cluster.history(0, 2000)
        assert (job.key.job_id, job.slurm_energy_j) == (7, None)
    assert asked(slurm) == (1, 3)


def test_another_failure_of_sacct_is_no_reason_to_ask_for_less(slurm):
    cluster = slurm(sacct=SACCT.format(energy='echo "sacct: error: it broke" >&2; exit 1'))
    with pytest.raises(ClusterError, match="it broke"):
        cluster.history(0, 2000)
    assert asked(slurm) == (1, 0)


@pytest.mark.parametrize("by_name", [False, True])
def test_only_a_cluster_that_is_asked_for_by_name_is_named(tmp_path, by_name):
    said = tmp_path / "said"
    for name, answer in {
        "squeue": '{"jobs": [], "errors": []}', "sinfo": "", "scontrol": "",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(
            f"#!/bin/sh\necho {name} \"$@\" >> {said}\nprintf '%s' '{answer}'\n"
        )
        (tmp_path / name).chmod(0o755)
    cluster = CommandLineCluster("north", tmp_path, None, 2.0, 1000.0, by_name=by_name)
    cluster.jobs()
    cluster.nodes()
    cluster.set_start(7, 2_000_000_000, "later")
    which = ["--clusters=north"] if by_name else []
    squeue, sinfo, scontrol = (line.split() for line in said.read_text().splitlines())
    assert squeue == ["squeue", *which, "--json"]
    assert sinfo[: len(which) + 2] == ["sinfo", *which, "-h"]
    assert scontrol[: len(which) + 2] == ["scontrol", *which, "update"]


def test_a_cluster_whose_name_slurmdbd_does_not_find_is_unavailable(slurm):
    words = "'north' can't be reached now, or it is an invalid entry for --cluster."
    cluster = slurm(scontrol=f'echo "scontrol: error: {words}" >&2; exit 1')
    with pytest.raises(ClusterUnavailableError, match="can't be reached now"):
        cluster.set_start(7, 2_000_000_000, "later")
