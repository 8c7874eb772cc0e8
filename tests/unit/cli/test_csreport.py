import csv
import json
import stat
from pathlib import Path

import pytest

from carbonsched.cli import csreport
from carbonsched.cli.csreport import OutputError
from carbonsched.errors import RequestError


@pytest.fixture
def ask(daemon, capsys):
    def asking(*words):
        options = csreport._parser().parse_args(words)
        assert csreport.run(options, daemon.client) == 0
        return capsys.readouterr()

    return asking


def test_text_by_default(ask, daemon):
    shown = ask().out
    assert "Carbon statement of user alice, November 2026" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert daemon.asked == [("/v1/report", {}, None)]


def test_json_is_the_daemons_document(ask, samples):
    assert json.loads(ask("--format", "json").out) == json.loads(json.dumps(samples.report()))


def test_the_form_follows_the_files_ending(ask, tmp_path, samples):
    for ending, start in (
        ("html", "<!doctype html>"),
        ("csv", "section,"),
        ("json", "{"),
        ("txt", "Carbon"),
    ):
        path = tmp_path / f"r.{ending}"
        assert f"wrote {path}" in ask("-o", str(path)).err
        assert path.read_text(encoding="utf-8").startswith(start)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["r.csv", "r.html", "r.json", "r.txt"]
    with (tmp_path / "r.csv").open(encoding="utf-8") as stream:
        total = next(row for row in csv.DictReader(stream) if row["section"] == "total")
    assert int(total["mg"]) == samples.report()["totals"]["mg"]


def test_a_written_report_has_the_usual_rights_and_devices_stay_devices(ask, tmp_path):
    path = tmp_path / "r.csv"
    ask("-o", str(path))
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600
    ask("-o", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_last_month_is_the_sites_last_month(ask, daemon):
    ask("-m", "last", "-A", "physics")
    assert [query for _, query, _ in daemon.asked] == [
        {"account": "physics"},
        {"month": "2026-10", "account": "physics"},
    ]


def test_whose_and_when_reach_the_daemon(ask, daemon):
    ask("-m", "2026-09", "--campaign", "unet")
    assert daemon.asked[0][1] == {"month": "2026-09", "campaign": "unet"}


def test_only_the_statement(ask, samples):
    assert ask("--statement").out == samples.report()["statement"] + "\n"


def test_no_statement_of_an_empty_month(ask, daemon, samples):
    daemon.answers["/v1/report"] = (200, samples.empty_report())
    assert "nothing to report" in ask().out
    with pytest.raises(RequestError, match="no statement"):
        ask("--statement")


def test_sums_that_do_not_agree_are_said_beside_data_too(ask, daemon, samples):
    document = samples.report()
    document["days"][0]["mg"] += 7
    daemon.answers["/v1/report"] = (200, document)
    assert "The days add up to" in ask("--format", "csv").err


@pytest.mark.parametrize("month", ["2026-13", "november", "2026-1"])
def test_what_is_no_month(ask, month):
    with pytest.raises(RequestError, match="write YYYY-MM"):
        ask("-m", month)


def test_a_file_that_cannot_be_written(ask, tmp_path):
    with pytest.raises(OutputError, match="No such file or directory; name another") as caught:
        ask("-o", str(tmp_path / "no" / "r.csv"))
    assert caught.value.exit_status == 73
