"""carbonsched intensity: fetch, history, export, import and show on a real ledger."""

from __future__ import annotations

import csv
import io
import json

import pytest

from carbonsched.cli.main import main

CONFIG = """\
site: {{name: Lab, time_zone: Europe/Berlin, state_dir: {base}/state}}
daemon: {{url: "http://127.0.0.1:1"}}
clusters:
  - name: hpc
    zone: DE
    pue: 1.2
    nodes: [{{nodes: "n[1-2]", cpus: 8, idle: 80 W, max: 240 W}}]
zones:
  - name: DE
    providers:
      - {{kind: file, provider: tso, actual: {base}/de.csv, forecasts: {base}/ahead.csv,
         signal: average, basis: production, gas: CO2eq, scope: lifecycle}}
"""
HOUR = 3600


NOW = 1_795_176_600  # ten minutes past an hour


class Clock:
    at = NOW


@pytest.fixture
def clock(monkeypatch):
    held = Clock()
    monkeypatch.setattr("carbonsched.bootstrap.SystemClock.now", lambda _: held.at)
    return held


@pytest.fixture
def site(tmp_path, clock):
    """A site whose one provider is two files of the last and the next two days."""
    hour = clock.at // HOUR * HOUR
    (tmp_path / "carbonsched.yaml").write_text(CONFIG.format(base=tmp_path))
    past = [(hour - n * HOUR, 300 + n) for n in range(48, 0, -1)]
    write(tmp_path / "de.csv", ("start", "g_per_kwh"), past)
    ahead = [(hour, hour + n * HOUR, 200 + n) for n in range(48)]
    write(tmp_path / "ahead.csv", ("issued", "start", "g_per_kwh"), ahead)
    return tmp_path


def write(path, columns, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


@pytest.fixture
def ask(site, capsys):
    def asking(*words, status=0):
        found = main(["intensity", *map(str, words), "--config", str(site / "carbonsched.yaml")])
        captured = capsys.readouterr()
        assert found == status, captured.err
        return captured.out if status == 0 else captured.out + captured.err

    return asking


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_fetch_says_what_came_of_it_and_that_again_brings_nothing_new(ask):
    lines = ask("fetch", "-P").splitlines()
    assert lines[0] == "Zone|Provider|What|Status|Values|New|Why"
    assert lines[1].startswith("DE|tso|actual|ok|48|48|")
    assert lines[2].startswith("DE|tso|forecast|ok|48|1|")
    again = json.loads(ask("fetch", "--json"))["fetched"]
    assert [(one["what"], one["new"]) for one in again] == [("actual", 0), ("forecast", 0)]


def test_a_provider_that_fails_is_status_1_and_says_why(ask, site):
    (site / "de.csv").unlink()
    shown = ask("fetch", status=1)
    assert "failed" in shown
    assert "zone DE: " in shown
    assert "there is no such file" in shown


def test_show_is_csinfo_without_the_daemon(ask):
    ask("fetch")
    shown = ask("show", "-l", "4h")
    assert shown.startswith("DE: 301 g/kWh, measured")
    assert "Cleanest 4h: now to " in shown
    assert len(json.loads(ask("show", "--json", "-H", 24))["zones"][0]["steps"]) == 25


def test_a_revision_is_in_the_history_and_each_time_has_its_export(ask, site, clock):
    ask("fetch")
    clock.at += 60
    hour = NOW // HOUR * HOUR
    columns = ("start", "end", "g_per_kwh", "estimated")
    write(site / "new.csv", columns, [(hour - HOUR, hour, 260, "true")])
    shown = ask("import", site / "new.csv", "-z", "DE", "--provider", "tso")
    assert "0 of 1 values new or revised" in shown, "an estimate revises nothing measured"
    early = hour - 60 * HOUR
    write(site / "new.csv", columns,
          [(hour - HOUR, hour, 250, "false"), (early, early + HOUR, 240, "true")])  # fmt: skip
    shown = ask("import", site / "new.csv", "-z", "DE", "--provider", "tso")
    assert "2 of 2 values new or revised" in shown
    assert "0 of 2" in ask("import", site / "new.csv", "-z", "DE", "--provider", "tso")
    rows = json.loads(ask("history", "-S", "now-3hours", "--revised", "--json"))["values"]
    assert [(one["g_per_kwh"], one["revision"], one["latest"]) for one in rows] == [
        (301.0, 1, False), (250.0, 2, True),
    ]  # fmt: skip
    assert [one["estimated"] for one in rows] == [False, False]
    assert "301.0" in ask("history", "-S", "now-3hours")
    before = ask("export", "-S", "now-3hours", "--as-of", "now-1hour")
    assert table(before) == []
    known = table(ask("export", "-S", "now-3hours", "--as-of", "now-30second"))
    assert (known[-1]["g_per_kwh"], known[-1]["estimated"]) == ("301", "false")
    values = table(ask("export", "-S", "now-3days"))
    assert (values[-1]["g_per_kwh"], values[-1]["estimated"]) == ("250", "false")
    assert (values[0]["g_per_kwh"], values[0]["estimated"]) == ("240", "true")


def test_what_is_exported_can_be_imported_and_is_the_same(ask, site):
    ask("fetch")
    values = ask("export", "-S", "now-3days")
    issued = ask("export", "--forecasts", "-S", "now-1day")
    assert (len(table(values)), len(table(issued))) == (48, 48)
    (site / "values.csv").write_text(values)
    (site / "issued.csv").write_text(issued)
    meaning = ("--signal", "average", "--basis", "production", "--gas", "CO2", "--scope", "direct")
    shown = ask("import", site / "values.csv", "--forecasts", site / "issued.csv", "-z", "DE",
                "--provider", "copy", *meaning)  # fmt: skip
    assert "48 of 48 values new or revised, 1 of 1 forecasts new" in shown
    copied = ask("export", "-S", "now-3days", "--provider", "copy")
    assert copied.replace(",copy,", ",tso,") == values
    again = table(ask("export", "--forecasts", "-S", "now-1day", "--provider", "copy"))
    assert [one["g_per_kwh"] for one in again] == [one["g_per_kwh"] for one in table(issued)]
    assert ask("show").startswith("DE: 301 g/kWh"), "another name's values count for nothing"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("import", "x.csv", "-z", "XX", "--provider", "tso"), "'XX'; this site has DE"),
        (("import", "-z", "DE", "--provider", "tso"), "nothing to import"),
        (("import", "x.csv", "-z", "DE", "--provider", "new"), "--signal, --basis, --gas, --scope"),
        (("import", "x.csv", "-z", "DE", "--provider", "tso", "--gas", "CO2"), "not CO2"),
        (("import", "/nowhere.csv", "-z", "DE", "--provider", "tso"), "no such file"),
        (("history", "-z", "XX"), "this site has DE"),
        (("history", "-S", "now", "-E", "now-1hour"), "check -S and -E"),
        (("export", "--as-of", "soon"), "is not a time"),
        (("show", "-l", "9d"), "longer than"),
    ],
)
def test_bad_requests_name_thing_and_remedy(ask, words, message):
    import_error = {"no such file": 69}.get(message, 64)
    assert message in ask(*words, status=import_error)


@pytest.mark.parametrize("action", ["show", "history", "fetch", "import", "export"])
def test_every_help_has_examples(capsys, action):
    assert main(["intensity", action, "--help"]) == 0
    assert f"carbonsched intensity {action}" in capsys.readouterr().out.split("examples:")[1]


def test_history_lists_its_fields_and_says_when_there_is_nothing(ask):
    assert "Revision" in ask("history", "-o", "help")
    assert ask("history", "-P", "-n") == ""
