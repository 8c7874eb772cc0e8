"""Which of sbatch's words is the script, and what stands in a script's head."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import RequestError
from carbonsched.model.directives import Directives, decode_mark, encode_mark
from carbonsched.submit.sbatch_words import read_command_line
from carbonsched.submit.script import digest, find_script, scan, split_words


@pytest.mark.parametrize(
    ("words", "script"),
    [
        (["job.sh"], "job.sh"),
        (["job.sh", "--wrap", "x"], "job.sh"),
        (["-n", "4", "job.sh", "-n", "5"], "job.sh"),
        (["-n4", "job.sh"], "job.sh"),
        (["-HO", "job.sh"], "job.sh"),
        (["-HOn", "4", "job.sh"], "job.sh"),
        (["-k", "job.sh"], "job.sh"),
        (["--no-kill", "job.sh"], "job.sh"),
        (["--exclusive", "job.sh"], "job.sh"),
        (["--time", "5", "job.sh"], "job.sh"),
        (["--time=5", "job.sh"], "job.sh"),
        (["--nodel", "n1", "job.sh"], "job.sh"),
        (["--parsable", "job.sh"], "job.sh"),
        (["--pars", "job.sh"], "job.sh"),
        (["--unheard-of=5", "job.sh"], "job.sh"),
        (["--", "-odd.sh"], "-odd.sh"),
        (["-n1", ":", "-n", "2", "job.sh"], "job.sh"),
        (["-n1", ":", "--comment", ":", "job.sh"], "job.sh"),
        (["--comment", "--carbon-now", "job.sh"], "job.sh"),
        (["--wrap", "job.sh"], None),
        (["--wrap=job.sh"], None),
        ([], None),
        (["--hold"], None),
    ],
)
def test_the_script_is_found_among_sbatchs_words(words, script):
    line = read_command_line(words)
    assert line.script == script
    assert line.unknown is None
    assert line.misplaced is None


@pytest.mark.parametrize(
    ("words", "unknown"),
    [(["--unheard-of", "job.sh"], "--unheard-of"), (["-Z", "job.sh"], "-Z")],
)
def test_an_unknown_option_is_no_reason_to_guess(words, unknown):
    line = read_command_line(words)
    assert line.script is None
    assert line.unknown == unknown
    assert not line.reads_stdin


@pytest.mark.parametrize(
    "words", [["--help"], ["-h"], ["--test-only", "job.sh"], ["-V"], ["-Hh"], ["--usa"]]
)
def test_words_that_submit_nothing(words):
    assert not read_command_line(words).submits


@pytest.mark.parametrize("words", [["--wait", "x"], ["-W", "x"], ["-n1", ":", "-HW", "x"]])
def test_words_that_make_sbatch_wait(words):
    assert read_command_line(words).waits


def test_standard_input_is_the_script_where_no_word_is():
    assert read_command_line(["-n4"]).reads_stdin
    assert not read_command_line(["-n4", "job.sh"]).reads_stdin
    assert not read_command_line(["--wrap", "hostname"]).reads_stdin


def test_our_options_behind_sbatchs_are_misplaced_but_not_in_a_value_or_behind_the_script():
    assert read_command_line(["-n4", "--carbon-now", "x"]).misplaced == "--carbon-now"
    assert read_command_line(["-n4", ":", "--carbon-now", "x"]).misplaced == "--carbon-now"
    assert read_command_line(["x", "--carbon-now"]).misplaced is None


@given(st.lists(st.text(max_size=8), max_size=8))
def test_any_words_can_be_read(words):
    line = read_command_line(words)
    assert line.script is None or line.script in words


def test_the_head_ends_at_the_first_command():
    head = scan(
        b"#!/bin/sh\n\n# note\n#CARBON --max-delay=6h --epochs 9\n"
        b'#SBATCH -J "my job" --comment=x # --begin=now\n  # indented\n'
        b"#CARBONATE --x\n #CARBON --now\nset -e\n#CARBON --checkpoint\n#SBATCH --begin=now\n",
        "job.sh",
    )
    assert head.options.values == {"max-delay": "6h", "epochs": "9"}
    assert head.sbatch_names == {"job-name", "comment"}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"#SBATCH -b now+1hour", "begin"),
        (b"#SBATCH\t--begin now", "begin"),
        (b"#SBATCH --beg=16:00", "begin"),
        (b"#PBS -a 1200", "begin"),
        (b"#SBATCH -H --comment=\\#1", "comment"),
        (b"#SBATCH -W", "wait"),
    ],
)
def test_what_the_script_asks_of_sbatch_is_seen(line, name):
    assert name in scan(b"#!/bin/sh\n" + line + b"\nhostname\n", "x").sbatch_names


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("#CARBON max-delay=6h", "'max-delay=6h' is not an option"),
        ("#CARBON --max-dely=6h", "did you mean --max-delay?"),
        ("#CARBON --epochs", "needs a value"),
        ("#CARBON --help", "unknown option --help"),
        ("#CARBON --now=1", "takes no value"),
    ],
)
def test_a_wrong_carbon_line_is_named_with_its_place(line, words):
    with pytest.raises(RequestError) as caught:
        scan(f"#!/bin/sh\n{line}\n".encode(), "job.sh")
    assert str(caught.value).startswith("job.sh:2: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (' -J "a b" ', ["-J", "a b"]),
        (r" --comment=a\ b # c", ["--comment=a b"]),
        (" a'b c'd", ["ab cd"]),
        (r' "a\"b" ""', ['a"b', ""]),
        ("", []),
    ],
)
def test_words_are_split_as_sbatch_does(text, words):
    assert split_words(text) == words


@given(st.binary(max_size=300))
def test_any_script_can_be_scanned(content):
    problem = ""
    try:
        scan(content, "x")
    except RequestError as error:
        problem = str(error)
    assert not problem or problem.startswith("x:")


SCRIPT = b"#!/bin/sh\n# a note\n\nset -e\n#SBATCH -n4\n./train\n"


@pytest.mark.parametrize(
    "line",
    [b"#SBATCH --time=4:00:00", b"#SBATCH -J other", b"#CARBON --epochs=9", b"#PBS -a 1200"],
)
def test_options_in_its_head_make_no_other_script(line):
    assert digest(SCRIPT.replace(b"# a note\n", b"# a note\n" + line + b"\n")) == digest(SCRIPT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"./train", b"./train --lr=3"),
        (b"a note", b"another note"),
        (b"-n4", b"-n8"),  # behind the first command it is a comment
        (b"/bin/sh", b"/bin/bash"),
        (b"\n\n", b"\n"),
    ],
)
def test_any_other_text_makes_another_script(old, new):
    assert digest(SCRIPT.replace(old, new)) != digest(SCRIPT)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_script_has_a_digest_that_a_mark_can_carry(one, another):
    for content in (one, another):
        told = digest(content)
        assert (told is None) == (content == b"")
        assert decode_mark(encode_mark(Directives(script_digest=told))).script_digest == told
    same_head = b"set -e\n"
    assert (digest(same_head + one) == digest(same_head + another)) == (one == another)


def test_a_script_of_more_than_a_megabyte_has_none():
    assert digest(b"#" * 2**20) is not None
    assert digest(b"#" * (2**20 + 1)) is None


def test_the_script_is_looked_for_where_sbatch_looks(tmp_path, monkeypatch):
    (tmp_path / "path").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "path" / "a.sh").touch()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.chdir(tmp_path)
    assert find_script(read_command_line(["a.sh"])) == tmp_path / "path" / "a.sh"
    assert find_script(read_command_line(["nowhere.sh"])) is None
    (tmp_path / "here" / "a.sh").touch()
    found = find_script(read_command_line(["-D", "here", "a.sh"]))
    assert found is not None
    assert found.resolve() == tmp_path / "here" / "a.sh"
