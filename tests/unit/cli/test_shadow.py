import json

import pytest

from carbonsched.cli import shadow
from carbonsched.cli.common import Parser
from carbonsched.errors import DaemonError, RequestError


@pytest.fixture
def ask(daemon, samples, capsys):
    daemon.answers["/v1/shadow"] = (200, samples.shadow())
    parser = Parser(prog="carbonsched shadow")
    shadow.configure(parser)

    def asking(*words):
        assert shadow.shadow(parser.parse_args(words), daemon.client) == 0
        return capsys.readouterr().out

    return asking


def test_the_report_in_80_columns_with_its_limits(ask):
    shown = ask()
    lines = shown.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "  would start later    6, by 5.0 h on average, 95 % of them by at most 11.0 h" in lines
    assert lines[7].split() == [
        "planned", "in", "shadow", "11", "2.00", "kg", "1.50", "kg", "500", "g", "25.0", "%",
    ]  # fmt: skip
    assert lines[8].split()[-2:] == ["41.7", "%"]
    assert "4 jobs not reckoned (1 of them later): not settled yet." in lines
    assert "jobs that came later" in " ".join(shown.split())
    assert "\x1b" not in shown


def test_what_is_not_known_is_a_dash(ask):
    (bob,) = [line for line in ask().splitlines() if line.startswith("bob")]
    assert bob.split()[1:] == ["3", "0", "-", "-", "0", "-", "-", "-", "-"]


def test_a_period_without_shadow_says_how_to_begin(ask, daemon, samples):
    nothing = samples.shadow()["users"][1] | {"jobs": 0}
    daemon.answers["/v1/shadow"] = (
        200, samples.shadow(total=nothing, users=[], not_reckoned=[]),
    )  # fmt: skip
    assert "set planning.mode to shadow" in " ".join(ask().split())
    assert "Emitted_mg|\n" in ask("-P")


def test_for_scripts(ask):
    lines = ask("-P").splitlines()
    assert lines[0] == "Figure|Value"
    assert {"Ended|40", "Planned|15", "Deferred|6", "Saved_mg|500000"} <= set(lines)
    table = lines[lines.index("") + 1 :]
    assert table == [
        "User|Jobs|Deferred|DelayMean_s|DelayP95_s|Reckoned|Emitted_mg|Would_mg|Saved_mg|Saved_pct",
        "alice|12|6|18000|39600|11|2000000|1500000|500000|25.0",
        "bob??[2J|3|0|||0||||",
    ]


def test_json_is_the_daemons_document(ask, samples):
    assert json.loads(ask("--json")) == samples.shadow()


def test_this_month_unless_told_otherwise(ask, daemon):
    ask()
    ask("-S", "2026-10-01", "-E", "2026-11-01", "-M", "lab")
    (_, first, _), (_, second, _) = daemon.asked
    assert int(first["start"]) < int(first["end"])
    assert second == {"start": "1790805600", "end": "1793487600", "cluster": "lab"}


@pytest.mark.parametrize(
    ("words", "message"),
    [(("-S", "2026-11-02", "-E", "2026-11-01"), "check -S and -E"), (("-S", "soon"), "not a time")],
)
def test_bad_requests_name_thing_and_remedy(ask, words, message):
    with pytest.raises(RequestError, match=message):
        ask(*words)


def test_an_answer_that_is_none(ask, daemon):
    daemon.answers["/v1/shadow"] = (200, {"now": 1})
    with pytest.raises(DaemonError, match="same version"):
        ask()
