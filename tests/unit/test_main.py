"""The administrator's command as a whole."""

from __future__ import annotations

import re

import pytest

from carbonsched import __version__
from carbonsched.cli.main import main

COMMANDS = ["config", "daemon", "tick", "agent", "track", "quota", "audit", "shadow", "simulate"]


@pytest.fixture(autouse=True)
def ordinary_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def leave(*arguments):
    """The status with which the command ends, by returning or by argparse's way out."""
    try:
        return main(arguments)
    except SystemExit as leaving:
        return leaving.code or 0


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command_with_examples(arguments, capsys):
    assert leave(*arguments) == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w", shown, re.MULTILINE)
    assert "examples:\n  carbonsched " in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_helps_itself_with_an_example(name, capsys):
    assert leave(name, "--help") == 0
    shown = capsys.readouterr().out
    assert re.search(rf"^  carbonsched {name} ", shown, re.MULTILINE), shown
    assert "example" in shown
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_the_version_is_the_packages(capsys):
    assert leave("--version") == 0
    assert capsys.readouterr().out == f"carbonsched {__version__}\n"


@pytest.mark.parametrize("name", ["deamon", "", "-", "--", "tick plan", "../daemon"])
def test_another_command_is_one_line(name, capsys):
    assert leave(name) in (2, 64)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.rstrip().splitlines()[-1].startswith("carbonsched: ")


def test_an_unknown_command_is_named(capsys):
    assert leave("deamon") == 64
    shown = capsys.readouterr().err
    assert shown == "carbonsched: unknown command 'deamon'; see 'carbonsched --help'\n"


@pytest.mark.parametrize("arguments", [["daemon", "--colour"], ["tick"], ["tick", "sweep"]])
def test_options_that_are_none_are_refused(arguments, capsys):
    assert leave(*arguments) in (2, 64)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"carbonsched {arguments[0]}: " in shown.err


@pytest.mark.parametrize("arguments", [["daemon"], ["tick", "plan"]])
def test_without_a_configuration_the_file_is_named(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CARBONSCHED_CONFIG", str(tmp_path / "none.yaml"))
    assert leave(*arguments) == 78
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"carbonsched {arguments[0]}: {tmp_path}/none.yaml")
    assert shown.err.count("\n") == 1
