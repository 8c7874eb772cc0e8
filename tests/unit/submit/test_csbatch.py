"""The command csbatch as a process of its own, before a stand-in for sbatch."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.model.directives import decode_mark
from carbonsched.submit.sbatch_run import Submitted, find_submitted


def sha(script: bytes) -> bytes:
    return hashlib.sha256(script).hexdigest()[:16].encode()


def test_lease_and_mark_come_first_and_the_users_words_follow(place):
    done = place.run("--carbon-max-delay=6h", "--carbon-epochs=9", "-n4", "job.sh", "--carbon-now")
    assert place.words() == [
        b"--begin=now+77",
        b"--comment=carbonsched/1 delay=21600 epochs=9 lease=77",
        b"-n4",
        b"job.sh",
        b"--carbon-now",
    ]
    assert (done.returncode, done.stdout) == (0, b"Submitted batch job 12\n")


def test_without_a_daemon_there_is_exactly_one_warning(place):
    done = place.run("job.sh")
    assert done.returncode == 0
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("csbatch: warning: job 12 is submitted, but without a plan: munged at ")
    assert line.endswith("; it starts when its lease of 77 s ends")


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", '{"cluster": "lab"}', '{"cluster": "lab", "lease": 3}']
)
def test_without_a_site_file_it_is_sbatch_and_one_warning(place, text):
    place.site.unlink() if text is None else place.site.write_text(text)
    done = place.run("--carbon-max-delay=6h", "job.sh")
    assert place.words() == [b"job.sh"]
    assert (done.returncode, done.stdout) == (0, b"Submitted batch job 12\n")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(b"csbatch: warning: submitting by plain sbatch")


@pytest.mark.parametrize(
    "changes", [{"lease_s": "soon"}, {"submit_timeout_s": "x"}, {"daemon_url": 5}]
)
def test_a_site_file_with_nonsense_cannot_stop_a_submission(place, changes):
    place.write_site(**changes)
    done = place.run("job.sh")
    assert (done.returncode, done.stdout) == (0, b"Submitted batch job 12\n")
    assert len(done.stderr.splitlines()) == 1


def test_start_now_takes_no_lease(place):
    place.run("--carbon-now", "job.sh")
    assert place.words() == [b"--comment=carbonsched/1 now=1", b"job.sh"]


def test_a_pilot_takes_no_lease_as_its_first_epoch_comes_at_once(place):
    done = place.run("--carbon-pilot", "--carbon-max-delay=6h", "job.sh")
    assert place.words() == [b"--comment=carbonsched/1 delay=21600 pilot=1", b"job.sh"]
    assert done.stderr.decode().strip().endswith("; it starts as Slurm schedules it")


def test_the_command_line_wins_over_a_pilot_of_the_script(place):
    (place.folder / "job.sh").write_text("#!/bin/sh\n#CARBON --pilot --epochs=3\nhostname\n")
    place.run("--carbon-now", "job.sh")
    assert place.words() == [
        b"--comment=carbonsched/1 epochs=3 now=1 script=" + sha(b"#!/bin/sh\nhostname\n"),
        b"job.sh",
    ]


@pytest.mark.parametrize(
    ("words", "head", "variables", "what"),
    [
        (["--array=1-3"], "", {}, "arrays"),
        (["-a1-3"], "", {}, "arrays"),
        ([], "#SBATCH --array=1-3", {}, "arrays"),
        ([], "", {"SBATCH_ARRAY_INX": "1-3"}, "arrays"),
        (["-n1", ":", "-n2"], "", {}, "heterogeneous jobs"),
        ([], "#SBATCH hetjob", {}, "heterogeneous jobs"),
    ],
)
def test_a_pilot_is_one_job(place, words, head, variables, what):
    (place.folder / "job.sh").write_text(f"#!/bin/sh\n{head}\n#CARBON --pilot\nhostname\n")
    done = place.run(*words, "job.sh", **variables)
    (line,) = done.stderr.decode().splitlines()
    assert line == f"csbatch: error: --carbon-pilot is not for {what}; leave one of them out"
    assert done.returncode == 64
    assert not (place.folder / "words").exists()


def test_a_site_in_shadow_mode_gives_no_lease(place):
    place.write_site(lease_s=0)
    done = place.run("--carbon-max-delay=6h", "job.sh")
    assert place.words() == [b"--comment=carbonsched/1 delay=21600", b"job.sh"]
    assert done.stderr.decode().strip().endswith("; it starts as Slurm schedules it")


@pytest.mark.parametrize(
    "words", [["--begin=now+77"], ["--begin", "16:00"], ["-b16:00"], ["--beg=1"]]
)
def test_a_begin_time_of_the_owner_takes_no_lease(place, words):
    place.run(*words, "job.sh")
    assert place.words() == [b"--comment=carbonsched/1", *map(str.encode, words), b"job.sh"]


def test_what_the_script_says_is_left_to_it(place):
    (place.folder / "job.sh").write_text(
        "#!/bin/sh\n#SBATCH --begin=16:00\n#SBATCH --comment='mine'\n#CARBON --epochs=3\nhostname\n"
    )
    place.run("job.sh")
    assert place.words() == [b"job.sh"]


def test_carbon_lines_and_the_command_line_join(place):
    (place.folder / "job.sh").write_text(
        "#!/bin/sh\n#CARBON --max-delay=6h --epochs=3\nhostname\n#CARBON --checkpoint\n"
    )
    place.run("--carbon-epochs=5", "job.sh")
    digest = sha(b"#!/bin/sh\nhostname\n#CARBON --checkpoint\n")  # behind a command it is a comment
    mark = b"--comment=carbonsched/1 delay=21600 epochs=5 lease=77 script=" + digest
    assert mark in place.words()


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (["job.sh"], b""),
        (["--job-name=other", "-n4", "job.sh", "--lr", "3"], b""),
        (["--array=1-3", "job.sh"], b""),
        (["-n1", ":", "-n2", "job.sh"], b""),
        (["on-the-path.sh"], b""),
        ([], b"#!/bin/sh\n#CARBON --epochs=3\n#SBATCH -n4\n./train \xff\n"),
        (["--wrap", os.fsdecode(b"#!/bin/sh\n./train \xff\n")], b""),
    ],
)
def test_one_script_has_one_digest_wherever_sbatch_takes_it_from(place, words, stdin):
    script = b"#!/bin/sh\n./train \xff\n"
    (place.folder / "path").mkdir()
    for name in ("job.sh", "path/on-the-path.sh"):
        (place.folder / name).write_bytes(script)
    place.run(*words, stdin=stdin, PATH=f"{place.folder}/path:{os.environ['PATH']}")
    asked = decode_mark(place.words()[1].decode().removeprefix("--comment="))
    assert asked.script_digest == sha(script).decode()


def test_a_script_that_cannot_be_read_is_submitted_without_a_digest(place):
    os.mkfifo(place.folder / "pipe")
    (place.folder / "large.sh").write_bytes(b"#!/bin/sh\n./train\n" + b"#" * 2**20)
    for script in ("absent.sh", "pipe", "large.sh"):
        place.run(script)
        assert place.words()[1:] == [b"--comment=carbonsched/1 lease=77", script.encode()]


MARK = b"--comment=carbonsched/1 checkpoint=1 lease=77"


def test_a_job_that_writes_checkpoints_can_be_requeued_and_keeps_its_output(place):
    place.run("--carbon-checkpoint", "-n4", "job.sh")
    assert place.words()[1:] == [MARK, b"--requeue", b"--open-mode=append", b"-n4", b"job.sh"]


@pytest.mark.parametrize(
    ("words", "head", "variables", "added"),
    [
        (["--open-mode=truncate"], "", {}, ["--requeue"]),
        (["--requeue"], "", {}, ["--open-mode=append"]),
        ([], "#SBATCH --open-mode=truncate", {}, ["--requeue"]),
        ([], "#SBATCH --requeue --open-mode truncate", {}, []),
        ([], "", {"SBATCH_OPEN_MODE": "truncate"}, ["--requeue"]),
        ([], "", {"SBATCH_REQUEUE": "1"}, ["--open-mode=append"]),
        ([], "#SBATCH --unheard-of", {}, []),
        (["--unheard-of"], "", {}, []),
    ],
)
def test_what_its_owner_says_of_that_stays(place, words, head, variables, added):
    (place.folder / "job.sh").write_text(f"#!/bin/sh\n{head}\nhostname\n")
    place.run("--carbon-checkpoint", *words, "job.sh", **variables)
    told = place.words()
    ours = told[: len(told) - len(words) - 1]
    needed = (b"--requeue", b"--open-mode=append")
    assert [word for word in ours if word in needed] == [os.fsencode(word) for word in added]


@pytest.mark.parametrize(
    ("words", "head", "variables"),
    [
        (["--no-requeue"], "", {}),
        (["--no-req"], "", {}),
        ([], "#SBATCH --no-requeue", {}),
        ([], "", {"SBATCH_NO_REQUEUE": "1"}),
        (["--requeue", "--no-requeue"], "", {}),
    ],
)
def test_a_job_that_must_not_be_requeued_cannot_run_in_pieces(place, words, head, variables):
    (place.folder / "job.sh").write_text(f"#!/bin/sh\n{head}\n#CARBON --checkpoint\nhostname\n")
    done = place.run(*words, "job.sh", **variables)
    assert (done.returncode, done.stdout) == (64, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line == (
        "csbatch: error: --carbon-checkpoint and sbatch's --no-requeue contradict each other;"
        " give one"
    )
    assert not (place.folder / "words").exists()


def test_a_job_without_checkpoints_may_rule_a_requeue_out(place):
    place.run("--no-requeue", "job.sh")
    assert place.words()[2:] == [b"--no-requeue", b"job.sh"]


def test_a_script_from_standard_input_is_read_and_handed_on(place):
    script = b"#!/bin/sh\n#CARBON --max-delay=1h\n\xff\x00 hostname\n" + b"x" * 300_000
    place.run("-n2", stdin=script)
    assert place.stdin() == script
    kept = script.replace(b"#CARBON --max-delay=1h\n", b"")
    mark = b"--comment=carbonsched/1 delay=3600 lease=77 script="
    assert place.words()[1] == mark + sha(kept)


def test_with_a_script_file_standard_input_stays_sbatchs(place):
    place.run("job.sh", stdin=b"for somebody else")
    assert place.stdin() == b"for somebody else"


def test_an_option_that_nobody_knows_means_no_guess(place):
    done = place.run("--unheard-of", "job.sh")
    assert place.words() == [b"--unheard-of", b"job.sh"]
    assert b"--unheard-of is an option csbatch does not know" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--carbon-max-delay=6"], "write one such as 90min"),
        (["--carbon-nope", "job.sh"], "unknown option --carbon-nope"),
        (["-n4", "--carbon-now", "job.sh"], "put csbatch's options first"),
        (["--carbon-max-delay=6", "--version"], "write one such as 90min"),
        (["bad.sh"], "bad.sh:2: unknown option --nope"),
    ],
)
def test_a_wrong_carbon_option_submits_nothing(place, words, message):
    (place.folder / "bad.sh").write_text("#!/bin/sh\n#CARBON --nope\n")
    done = place.run(*words)
    assert done.returncode == 64
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("csbatch: error: ")
    assert message in line
    assert not (place.folder / "words").exists()


@pytest.mark.parametrize("word", ["--help", "--usage", "-V", "--test-only", "-h"])
def test_what_submits_nothing_is_sbatchs_alone(place, word):
    place.behave("print('from sbatch'); sys.exit(3)")
    done = place.run("--carbon-now", word, "job.sh")
    assert place.words() == [word.encode(), b"job.sh"]
    assert (done.returncode, done.stdout, done.stderr) == (3, b"from sbatch\n", b"")


def test_help_of_our_own(place):
    done = place.run("--carbon-help")
    assert done.returncode == 0
    assert b"--carbon-max-delay=6h" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert not (place.folder / "words").exists()


@pytest.mark.parametrize("status", [1, 64, 255])
def test_the_exit_status_and_the_complaint_are_sbatchs(place, status):
    place.behave(f"sys.stderr.write('sbatch: error: no\\n'); sys.exit({status})")
    done = place.run("job.sh")
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr == b"sbatch: error: no\n"


def test_the_signal_that_ends_sbatch_ends_csbatch(place):
    place.behave("os.kill(os.getpid(), 9)")
    assert place.run("job.sh").returncode == -signal.SIGKILL


def test_output_of_any_kind_passes_unchanged(place):
    place.behave("sys.stdout.buffer.write(b'\\xff\\n12;north\\nlast without newline')")
    done = place.run("job.sh")
    assert done.stdout == b"\xff\n12;north\nlast without newline"
    assert b"job 12 is submitted" in done.stderr


def test_a_quiet_sbatch_leaves_the_mark_to_speak(place):
    place.behave("")
    done = place.run("-Q", "job.sh")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_no_sbatch_is_one_line_and_the_shells_status(place):
    done = place.run("job.sh", CARBONSCHED_SBATCH=str(place.folder / "absent"))
    assert done.returncode == 127
    assert len(done.stderr.splitlines()) == 1
    assert b"is Slurm's sbatch on the path" in done.stderr


def start(place, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "carbonsched.submit.main", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=place.folder,
        env=place.environment,
    )


def test_with_wait_the_job_is_told_at_once_and_a_signal_reaches_sbatch(place):
    place.behave(
        "import signal, time\nsignal.signal(15, lambda *_: sys.exit(9))\n"
        f"{place.submitted}\ntime.sleep(30)"
    )
    with start(place, "--wait", "job.sh") as process:
        began = time.monotonic()
        assert process.stdout.readline() == b"Submitted batch job 12\n"
        assert b"job 12 is submitted" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 9
        assert time.monotonic() - began < 10


def test_a_daemon_that_accepts_and_never_answers_is_given_up(place):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place.write_site(daemon_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        done = place.run("job.sh")
        assert time.monotonic() - began < 5
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1


WORD = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
)


@given(tail=st.lists(WORD, max_size=6))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tail_passes_unchanged(shared, tail):
    words = ["-n4", "job.sh", *tail]
    shared.run("--carbon-epochs=2", *words)
    assert shared.words()[2:] == [os.fsencode(word) for word in words]


def test_words_that_are_not_utf8_pass_unchanged(place):
    place.run("--job-name", os.fsdecode(b"\xff\xfe"), "job.sh")
    assert place.words()[2:] == [b"--job-name", b"\xff\xfe", b"job.sh"]


@pytest.mark.parametrize(
    ("output", "submitted"),
    [
        (b"Submitted batch job 12\n", Submitted(job_id=12, cluster=None)),
        (b"Submitted batch job 12 on cluster north\n", Submitted(job_id=12, cluster="north")),
        (b"12\n", Submitted(job_id=12, cluster=None)),
        (b"12;north\n", Submitted(job_id=12, cluster="north")),
        (b"Submitted batch job 12", None),
        (b"", None),
        (b"nothing of the kind 12\n", None),
    ],
)
def test_the_job_id_is_found_in_what_sbatch_prints(output, submitted):
    assert find_submitted(output) == submitted
