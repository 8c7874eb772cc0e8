import json

import pytest

from carbonsched.cli import audit
from carbonsched.cli.common import Parser
from carbonsched.errors import DaemonError, RequestError


@pytest.fixture
def ask(daemon, samples, capsys):
    daemon.answers["/v1/audit"] = (200, samples.audit())
    parser = Parser(prog="carbonsched audit")
    audit.configure(parser)

    def asking(*words, status=0):
        assert audit.audit(parser.parse_args(words), daemon.client) == status
        return capsys.readouterr().out

    asking.help = parser.format_help
    return asking


def test_a_period_that_adds_up(ask):
    shown = ask()
    assert "It adds up: measured = jobs + idle + system + unclaimed, in whole joules" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_a_period_that_does_not_is_status_1(ask, daemon, samples):
    daemon.answers["/v1/audit"] = (200, samples.audit(adds_up=False, difference_j=-3))
    assert "It does not add up: -3 J" in ask(status=1)
    ask("--json", status=1)
    assert "AddsUp|0" in ask("-P", status=1)


def test_this_month_unless_told_otherwise(ask, daemon):
    ask()
    ask("-S", "2026-10-01", "-E", "2026-11-01", "-M", "lab")
    (_, first, _), (_, second, _) = daemon.asked
    assert int(first["start"]) < int(first["end"])
    assert "cluster" not in first
    assert second == {"start": "1790805600", "end": "1793487600", "cluster": "lab"}


def test_how_many_jobs_are_listed(ask):
    assert ask().count("covered 61 %") == 2
    shown = ask("-n", "1")
    assert shown.count("covered 61 %") == 0
    assert "2 more; -n shows them" in shown
    assert "Why" not in ask("-n", "0")


def test_for_scripts(ask):
    lines = ask("-P").splitlines()
    assert lines[:3] == ["Cluster|Figure|Value", "lab|Measured_J|1000000", "lab|Jobs_J|700000"]
    assert "lab|Jobs_partial|2" in lines
    table = lines[lines.index("") + 1 :]
    assert table[0] == "JobID|User|NodeList|State|Quality|Energy_J|Why"
    assert table[1] == "1301|bob|n1,n2|NODE_FAIL|missing||no reading"
    assert len(table) == 4


def test_json_is_the_daemons_document(ask, samples):
    assert json.loads(ask("--json")) == samples.audit()


def test_the_help_says_what_the_exit_status_means(ask):
    assert "Exit status 0: it adds up" in ask.help()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-S", "2026-11-02", "-E", "2026-11-01"), "check -S and -E"),
        (("-S", "soon"), "is not a time"),
        (("-n", "-1"), "number of jobs to list"),
    ],
)
def test_bad_requests_name_thing_and_remedy(ask, words, message):
    with pytest.raises(RequestError, match=message):
        ask(*words)


def test_an_answer_that_is_none(ask, daemon):
    daemon.answers["/v1/audit"] = (200, {"now": 1})
    with pytest.raises(DaemonError, match="same version"):
        ask()
