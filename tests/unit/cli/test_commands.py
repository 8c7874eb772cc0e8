"""The commands as processes: what a shell sees."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carbonsched.cli import csacct, csqueue, csreport
from carbonsched.site import Site

COMMANDS = {"csqueue": csqueue, "csacct": csacct, "csreport": csreport}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_examples(name, capsys):
    assert COMMANDS[name].main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert shown.count(f"  {name} ") >= 2


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_is_one_line_and_64(name, capsys):
    assert COMMANDS[name].main(["--no-such"]) == 64
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"{name}: ")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_site_file_the_remedy_is_said(name, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("CARBONSCHED_SITE", str(tmp_path / "none.json"))
    assert COMMANDS[name].main([]) == 78
    assert capsys.readouterr().err == (
        f"{name}: {tmp_path}/none.json: No such file or directory;"
        " write it with 'carbonsched config compile'\n"
    )


@pytest.mark.parametrize("name", ["csqueue", "csacct"])
def test_fields_are_listed_without_a_daemon(name, capsys, monkeypatch):
    monkeypatch.setenv("CARBONSCHED_SITE", "/nonexistent")
    assert COMMANDS[name].main(["-o", "help"]) == 0
    listed = capsys.readouterr().out
    assert "CO2" in listed
    assert COMMANDS[name].main(["--helpformat"]) == 0
    assert capsys.readouterr().out == listed


def run(code, *arguments, **more):
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONIOENCODING": ""}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], timeout=60, check=False, text=True,
        env={**environment, **more.pop("env", {})}, **more,
    )  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_start_without_the_heavy_packages(name):
    heavy = "{'pandas', 'plotly', 'jinja2', 'rich', 'numpy', 'pydantic', 'requests', 'fastapi'}"
    code = f"import carbonsched.cli.{name}, sys; print({heavy} & set(sys.modules))"
    assert run(code, capture_output=True).stdout == "set()\n"


def test_a_reader_that_has_gone_is_no_error_message():
    reader, writer = os.pipe()
    os.close(reader)
    code = "import sys; from carbonsched.cli.csacct import main; sys.exit(main(['-e']))"
    done = run(code, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_without_unicode_is_no_error():
    code = (
        "from carbonsched.cli.common import guarded, show\n"
        "raise SystemExit(guarded('x', lambda: show(['Übung 训练']) or 0))"
    )
    done = run(code, capture_output=True, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout) == (0, "?bung ??\n")


def test_a_daemon_that_is_away_is_one_line_and_69(tmp_path, capfd, monkeypatch):
    site = Site(cluster="lab", daemon_url="http://127.0.0.1:9", munge_socket=str(tmp_path / "no"))
    path = Path(tmp_path / "site.json")
    path.write_text(site.to_json(), encoding="utf-8")
    monkeypatch.setenv("CARBONSCHED_SITE", str(path))
    assert csqueue.main([]) == 69
    shown = capfd.readouterr()
    assert shown.err.startswith("csqueue: ")
    assert shown.err.count("\n") == 1
