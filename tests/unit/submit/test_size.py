"""What csbatch reads of a job's size, and what it says that it does not read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.placement import JobSize
from carbonsched.submit.sbatch_words import read_command_line
from carbonsched.submit.script import scan
from carbonsched.submit.size import all_options, parse_limit_s, read_size

VARIABLES = ("SBATCH_TIMELIMIT", "SBATCH_CLUSTERS", "SLURM_CLUSTERS", "SBATCH_GRES")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def read(*words, script=""):
    return read_size(read_command_line(words), scan(script.encode(), "job.sh"))


@pytest.mark.parametrize(
    ("words", "size"),
    [
        (["job.sh"], JobSize(name="job.sh")),
        (["./some/where/job.sh", "-n", "9"], JobSize(name="job.sh")),
        (["-n4", "job.sh"], JobSize(name="job.sh", tasks=4)),
        (["--ntasks", "4", "-c2", "-t", "30", "job.sh"],
         JobSize(name="job.sh", tasks=4, cpus_per_task=2, time_limit_s=1800)),
        (["-N2", "--ntasks-per-node=8", "-J", "my job", "x.sh"],
         JobSize(name="my job", nodes=2, tasks_per_node=8)),
        (["-N", "2-4", "--wrap", "true"], JobSize(name="wrap", nodes=2)),
        (["-n4", "-n", "8"], JobSize(name="sbatch", tasks=8)),
        (["--time=INFINITE", "x"], JobSize(name="x")),
    ],
)  # fmt: skip
def test_what_is_plainly_said_is_read(words, size):
    assert read(*words) == (size, ())


def test_words_go_before_the_environment_and_that_before_the_script(environment):
    script = "#!/bin/sh\n#SBATCH -n 3 -t 10 --cpus-per-task=4\n"
    assert read("-n5", "job.sh", script=script)[0] == JobSize(
        name="job.sh", tasks=5, cpus_per_task=4, time_limit_s=600
    )
    environment.setenv("SBATCH_TIMELIMIT", "1:00:00")
    assert read("job.sh", script=script)[0].time_limit_s == 3600
    assert read("-t5", "job.sh", script=script)[0].time_limit_s == 300


@pytest.mark.parametrize(
    ("words", "script", "unread"),
    [
        (["--gres=gpu:2", "--array=1-9", "x"], "", ("--array", "--gres")),
        (["--exclusive", "x"], "", ("--exclusive",)),
        (["-b", "now+1hour", "x"], "", ("--begin",)),
        (["x"], "#SBATCH --gpus=1\n", ("--gpus",)),
        (["-N", "2,4", "x"], "", ("--nodes",)),
        (["-n0", "x"], "", ("--ntasks",)),
        (["-t", "soon", "x"], "", ("--time",)),
        (["-n1", ":", "-n2", "x"], "", ("the other parts of the job",)),
        (["x"], "#SBATCH -n1\n#SBATCH hetjob\n#SBATCH -n2\n", ("the other parts of the job",)),
        (["x"], "#SBATCH --unheard-of 7 -n2\n", ("--unheard-of",)),
    ],
)
def test_what_is_not_counted_is_said(words, script, unread):
    assert read(*words, script=script)[1] == unread


@pytest.mark.parametrize("name", ["SBATCH_CLUSTERS", "SLURM_CLUSTERS"])
def test_a_cluster_may_be_given_anywhere(environment, name):
    line, empty = read_command_line(["-M", "north", "x"]), scan(b"", "x")
    assert all_options(line, empty)["clusters"] == "north"
    in_script = scan(b"#SBATCH --clusters=south\n", "x")
    assert all_options(read_command_line(["x"]), in_script)["clusters"] == "south"
    assert "clusters" not in all_options(read_command_line(["x"]), empty)
    environment.setenv(name, "west")
    assert all_options(read_command_line(["x"]), empty)["clusters"] == "west"


@pytest.mark.parametrize(
    ("text", "length_s"),
    [
        ("30", 1800), ("30:00", 1800), ("29:01", 1800), ("1:30:00", 5400), ("2-0", 172_800),
        ("2-3", 183_600), ("2-3:30", 185_400), ("2-3:30:01", 185_460), ("UNLIMITED", None),
        ("infinite", None), ("0", None), ("99999999", None),
    ],
)  # fmt: skip
def test_time_limits_are_read_as_sbatch_reads_them(text, length_s):
    assert parse_limit_s(text) == length_s


@pytest.mark.parametrize("text", ["", "soon", "1h", "1:2:3:4", "1-", "-5", "1.5", "\u0663"])
def test_what_is_no_time_limit_is_refused(text):
    with pytest.raises(ValueError, match="not a time limit"):
        parse_limit_s(text)


@given(
    st.lists(
        st.sampled_from(["-N", "-n", "-c", "-t", "--ntasks-per-node", "-J", ":"]).flatmap(
            lambda name: st.tuples(
                st.just(name),
                st.text(st.characters(codec="utf-8"), max_size=6)
                | st.from_regex(r"[0-9]{1,12}([-:][0-9]{1,9}){0,3}", fullmatch=True),
            )
        )
    )
)
def test_no_value_stops_a_submission(pairs):
    size, _ = read(*(word for pair in pairs for word in pair))
    assert size.cpus >= 1
