import argparse
import json

import pytest

from carbonsched.cli import quota
from carbonsched.cli.quota import configure, grant_quota, parse_mass, show_quota
from carbonsched.errors import RequestError


@pytest.fixture
def options():
    def parsed(*words):
        parser = argparse.ArgumentParser(prog="carbonsched quota")
        configure(parser)
        return parser.parse_args(words)

    return parsed


def test_show(options, daemon, capsys):
    assert show_quota(options("show"), daemon.client) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["user:alice", "2026-11", "25.0", "kg", "5.00", "kg", "12.4", "kg",
                                "2.30", "kg", "15.3", "kg", "####=....."]  # fmt: skip
    assert "-12 mg" in lines[2]
    assert "root" in lines[5]
    assert "\x1b" not in "".join(lines)
    assert all(len(line) <= 80 for line in lines)


def test_show_one(options, daemon, capsys):
    show_quota(options("show", "-A", "physics", "--json"), daemon.client)
    document = json.loads(capsys.readouterr().out)
    assert [one["subject"] for one in document["balances"]] == ["account:physics"]
    assert document["grants"] == []
    with pytest.raises(RequestError, match="user:carol has no carbon budget"):
        show_quota(options("show", "-u", "carol"), daemon.client)


def test_show_none(options, daemon, capsys):
    daemon.answers["/v1/quota"] = (200, {"balances": [], "grants": []})
    assert show_quota(options("show"), daemon.client) == 0
    assert capsys.readouterr().err == "No carbon budget applies.\n"


def test_grant_and_take_back(options, daemon, capsys):
    words = ("grant", "user:alice", "1.5kg", "--month", "2026-12", "--reason", "paper")
    assert grant_quota(options(*words), daemon.client) == 0
    grant_quota(options("grant", "account:lab", "20 mg", "--take-back", "--reason", "x"),
                daemon.client)  # fmt: skip
    assert [document for _, _, document in daemon.asked] == [
        {"subject": "user:alice", "month": "2026-12", "mg": 1_500_000, "reason": "paper"},
        {"subject": "account:lab", "month": None, "mg": -20, "reason": "x"},
    ]
    assert "15.3 kg" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ("alice", "5kg", "--reason", "x"),
        ("group:x", "5kg", "--reason", "x"),
        ("user:alice", "5", "--reason", "x"),
        ("user:alice", "0 g", "--reason", "x"),
        ("user:alice", "5kg", "--reason", " "),
        ("user:alice", "5kg", "--reason", "x", "--month", "2026"),
    ],
)
def test_bad_grants_are_refused_before_they_are_sent(options, daemon, words):
    with pytest.raises(RequestError):
        grant_quota(options("grant", *words), daemon.client)
    assert daemon.asked == []


@pytest.mark.parametrize(
    ("text", "mg"),
    [("5kg", 5_000_000), ("1.5 t", 1_500_000_000), ("0.001g", 1), ("20 mg", 20), (" 3 g ", 3000)],
)
def test_masses(text, mg):
    assert parse_mass(text) == mg


@pytest.mark.parametrize("text", ["", "5", "kg", "-5kg", "1e3kg", "0.0001g", "5 lb", "1.5mg"])
def test_what_is_no_mass(text):
    with pytest.raises(RequestError, match="write 500g"):
        parse_mass(text)


def test_the_module_is_what_carbonsched_loads():
    assert quota.configure is configure
