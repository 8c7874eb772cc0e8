"""csinfo: its chart and table, the cleanest window, several zones, and forms for programs."""

from __future__ import annotations

import json

import pytest

from carbonsched.cli import csinfo
from carbonsched.errors import DaemonError, RequestError
from carbonsched.reports.outlook import ASCII, BLOCKS, zone_lines
from carbonsched.reports.terminal import Screen

NOW = 1_795_176_000  # 2026-11-20 13:00 in Berlin
HOUR = 3600


def zone(name="DE", hours=48, banded=True, **fields):
    steps = [
        {
            "start_at": NOW + n * HOUR, "end_at": NOW + (n + 1) * HOUR,
            "g_per_kwh": 300.0 + 10 * (n % 24), "low": 250.0 if banded else None,
            "high": 600.0 if banded else None,
        }
        for n in range(hours)
    ]  # fmt: skip
    current = {
        "start_at": NOW - HOUR, "end_at": NOW - 600, "g_per_kwh": 312.4, "estimated": False,
        "label": "eds: DE", "fetched_at": NOW - 120,
    }  # fmt: skip
    window = {
        "start_at": NOW + 24 * HOUR, "end_at": NOW + 28 * HOUR, "g_per_kwh": 150.0,
        "now_g_per_kwh": 300.0,
    }  # fmt: skip
    return {
        "zone": name, "current": current, "forecast_label": "carbonsched: DE, average",
        "issued_at": NOW - 240, "fetched_at": NOW - 240, "ends_at": NOW + hours * HOUR,
        "ranking_label": None, "steps": steps, "window": window,
    } | fields  # fmt: skip


@pytest.fixture
def ask(daemon, capsys):
    def asking(*words, zones=None):
        given = {"now": NOW, "hours": 48, "length_s": 4 * HOUR if "-l" in words else None}
        daemon.answers["/v1/intensity"] = (200, given | {"zones": zones or [zone()]})
        options = csinfo._parser().parse_args(words)
        assert csinfo.run(options, daemon.client) == 0
        return capsys.readouterr().out

    return asking


def test_a_chart_and_a_table_within_80_columns(ask):
    shown = ask("-l", "4h")
    lines = shown.splitlines()
    assert lines[0] == "DE: 312 g/kWh, measured, until 10m ago"
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in shown
    assert sum(line.count(" |") for line in lines) == 6
    assert "Cleanest 4h: Sat 13:00 to Sat 17:00, 150 g/kWh, 50 % less than from now (300)" in shown
    assert "Forecast: carbonsched: DE, average; issued 4m ago, reaches to Sun 13:00." in shown
    assert "Now: eds: DE; told 2m ago." in shown
    table = lines[next(n for n, line in enumerate(lines) if line.startswith("HOUR")) + 1 :][:24]
    assert table[0].split() == ["Fri", "13:00", "300", "250-600", "Sat", "13:00", "300", "250-600"]


def test_the_daemon_is_asked_for_what_was_said(ask, daemon):
    ask("-z", "DE,DK1", "-l", "1h30m", "-H", "24")
    ask()
    assert [query for _, query, _ in daemon.asked] == [
        {"zone": "DE,DK1", "hours": "24", "length_s": "5400"}, {"hours": "48"},
    ]  # fmt: skip


def test_several_zones_one_after_the_other(ask):
    shown = ask(zones=[zone(), zone("DK1", current=None, ranking_label="watttime: DK1")])
    assert "DK1: no value of the last day is known" in shown
    assert "Jobs are placed by: watttime: DK1." in shown


def test_nothing_ahead_is_said(ask):
    empty = zone(hours=0, forecast_label=None, issued_at=None, ends_at=None, window=None)
    shown = ask("-l", "4h", zones=[empty])
    assert "No forecast reaches beyond now." in shown
    assert "No window of 4h" in shown


def test_estimates_and_missing_intervals_show_as_such(ask):
    current = zone()["current"] | {"estimated": True}
    shown = ask(zones=[zone(banded=False, current=current)])
    assert "estimated, until" in shown
    assert "80 %" not in shown


def test_for_scripts(ask):
    lines = ask("-P").splitlines()
    assert lines[0] == "Zone|Start|End|g_per_kWh|Low_g_per_kWh|High_g_per_kWh"
    assert lines[1] == "DE|2026-11-20T13:00:00|2026-11-20T14:00:00|300.0|250.0|600.0"
    assert len(lines) == 49
    assert len(ask("-P", "-n").splitlines()) == 48


def test_json_is_the_daemons_document(ask):
    assert json.loads(ask("--json"))["zones"] == [zone()]


@pytest.mark.parametrize("marks", [ASCII, BLOCKS])
def test_the_chart_is_higher_where_there_is_more(marks):
    lines = zone_lines(zone(), NOW, None, Screen(), marks)
    drawn = [line.split("|")[1] for line in lines if " |" in line]
    fill = [sum(len(row) > n and row[n] != " " for row in drawn) for n in range(48)]
    assert fill[23] == 6
    assert fill[0] < fill[12] < fill[23]
    assert set("".join(drawn)) <= set(marks)


def test_colour_only_on_a_screen_that_takes_it():
    assert "\x1b[31m" in "".join(zone_lines(zone(), NOW, None, Screen(colour=True), BLOCKS))
    assert "\x1b" not in "".join(zone_lines(zone(), NOW, None, Screen(), BLOCKS))


def test_a_gap_in_the_hours_is_a_gap_in_the_chart():
    holed = zone()
    del holed["steps"][10:12]
    lines = zone_lines(holed, NOW, None, Screen(), ASCII)
    bottom = next(line for line in reversed(lines) if " |" in line).split("|", 1)[1]
    assert bottom[9:13] == "#  #"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("45min", 2700), ("4h", 14_400), ("1d12h", 129_600)]
)
def test_lengths(text, seconds):
    assert csinfo.parse_length(text) == seconds


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-l", "soon"), "is not a length; write"),
        (("-l", "0h"), "is not a length"),
        (("-l", ""), "is not a length"),
        (("-l", "3d"), "longer than the 48 h"),
        (("-H", "97"), "from 1 to 96"),
    ],
)
def test_bad_requests_name_thing_and_remedy(ask, words, message):
    with pytest.raises(RequestError, match=message):
        ask(*words)


def test_an_answer_that_is_none(ask):
    with pytest.raises(DaemonError, match="same version"):
        ask(zones=[{"zone": "DE"}])


def test_the_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        csinfo._parser().parse_args(["--help"])
    assert "csinfo -l 4h" in capsys.readouterr().out
