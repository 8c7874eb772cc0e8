"""Scenarios and policies spread over a job array, with a stand-in for Slurm's own commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from carbonsched.cli import simulate
from carbonsched.cli.common import Parser
from carbonsched.cli.simulate_task import main as task
from carbonsched.errors import ExternalError, RequestError

FAKE = """#!/bin/sh
# What sbatch --wait does, one task after another; the options go to a file.
printf '%s\\n' "$@" > "{here}/options"
for word in "$@"; do
  case $word in
    --array=0-*) last=${{word#--array=0-}} ;;
    --output=*) logs=$(dirname "${{word#--output=}}") ;;
  esac
done
cat > "{here}/script"
echo 42
for index in $(seq 0 "$last"); do
  SLURM_ARRAY_TASK_ID=$index sh "{here}/script" > "$logs/$index.log" 2>&1 || status=1
done
exit "${{status:-0}}"
"""


def command(*arguments: str) -> int:
    parser = Parser(prog="carbonsched simulate")
    simulate.configure(parser)
    parsed = parser.parse_args(arguments)
    return parsed.run(parsed)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder in front of the PATH, with a sbatch that runs everything here."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "sbatch", FAKE.format(here=folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_an_array_gives_what_is_reckoned_here(programs, short, tmp_path, capsys):
    places = [short("one"), short("two", 5)]
    policies = ("--policy", "cats", "--policy", "carbon")
    command(*places, *policies)
    here = capsys.readouterr().out
    options = "--slurm-options=-p debug --mem=1G"
    command(*places, *policies, "--slurm", "--out", str(tmp_path / "out"), options)
    printed = capsys.readouterr()
    assert printed.out == here
    assert printed.err.startswith("6 tasks in one job array")
    given = (programs / "options").read_text().splitlines()
    assert given[-3:] == ["-p", "debug", "--mem=1G"]
    assert {"--parsable", "--wait", "--array=0-5", "--time=60"} <= set(given)
    assert (tmp_path / "out" / "two" / "carbon" / "schedule.csv").is_file()


def test_a_task_that_fails_is_named_with_its_log_and_the_others_are_shown(
    programs, short, tmp_path, capsys
):
    folder = tmp_path / "out" / "short" / "cats"
    folder.mkdir(parents=True)
    (folder / "schedule.csv").mkdir()  # cannot be written
    asked = (short(), "--policy", "cats", "--policy", "wait-awhile", "--slurm", "--out")
    with pytest.raises(
        ExternalError, match=r"^short, cats: the task failed, see (.*1\.log)$"
    ) as no:
        command(*asked, str(tmp_path / "out"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["immediate", "wait-awhile"]
    log = Path(str(no.value).split()[-1]).read_text()
    assert (
        log == f"carbonsched simulate: {folder / 'schedule.csv'}: Is a directory; nothing written\n"
    )


def test_an_outcome_of_an_earlier_array_is_not_taken_for_a_new_one(programs, short, tmp_path):
    asked = (short(), "--policy", "immediate", "--slurm", "--out", str(tmp_path / "out"))
    command(*asked)
    program(programs, "sbatch", "#!/bin/sh\necho 43\nexit 1\n")
    with pytest.raises(ExternalError, match="short, immediate: the task failed, it wrote no log"):
        command(*asked)


def test_a_scenario_without_its_immediate_schedule_leaves_the_others_be(
    programs, short, tmp_path, capsys
):
    places = [short("one"), short("two")]
    (tmp_path / "out" / "one" / "immediate" / "schedule.csv").mkdir(parents=True)
    with pytest.raises(ExternalError, match="one, immediate: the task failed"):
        command(*places, "--policy", "cats", "--slurm", "--json", "--out", str(tmp_path / "out"))
    (told,) = json.loads(capsys.readouterr().out)
    assert told["scenario"] == "two"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'sbatch: error: invalid partition' >&2; exit 1", "sbatch refused: error: invalid p"),
        ("exit 1", "sbatch refused: no reason given"),
    ],
)
def test_what_slurm_refuses_is_one_line(programs, short, tmp_path, script, words):
    program(programs, "sbatch", f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    with pytest.raises(ExternalError, match=words):
        command(short(), "--slurm", "--out", str(tmp_path / "out"))


def test_without_slurm_there_is_one_line(short, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExternalError, match="no sbatch on this host; without --slurm"):
        command(short(), "--slurm", "--out", str(tmp_path / "out"))


def test_an_interrupted_wait_cancels_the_array(programs, short, tmp_path):
    program(programs, "sbatch", '#!/bin/sh\necho there > "$0.there"\nexec sleep 60\n')
    program(programs, "scancel", '#!/bin/sh\necho "$@" > "$0.options"\n')
    argv = [sys.executable, "-m", "carbonsched.cli.main", "simulate", short(), "--slurm"]
    # Tests that run in the background ignore Ctrl-C, and what they start inherits that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen([*argv, "--out", str(tmp_path / "out")])
    signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 60
        while not (programs / "sbatch.there").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    finally:
        running.kill()
        running.wait()
    given = (programs / "scancel.options").read_text()
    assert given == f"--name=carbonsched-simulate-{running.pid}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--slurm"], "needs --out"),
        (["--slurm", "--out", "x", "--slurm-options='"], "cannot be split"),
        (["--slurm", "--out", "x", "--slurm-time=0"], "at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(short, arguments, words):
    with pytest.raises(RequestError, match=words):
        command(short(), *arguments)


def test_a_trace_is_not_spread(tmp_path):
    arguments = ("--trace", "x", "--slurm", "--out", str(tmp_path))
    with pytest.raises(RequestError, match="takes SCENARIO folders"):
        command(*arguments)


def test_a_task_without_its_number_is_one_line(capsys):
    assert task(["file"]) == 64
    assert capsys.readouterr().err.count("\n") == 1
