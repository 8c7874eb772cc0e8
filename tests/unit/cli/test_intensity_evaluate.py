from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from carbonsched.cli.main import main

AT = 1_625_097_600  # 2021-07-01T00:00Z
DAYS = 45
KEYS = [
    "zone", "basis", "method", "lead_day", "n", "mape_pct", "bias_g_per_kwh", "coverage80_pct",
    "regret_1h_pct", "regret_4h_pct", "regret_12h_pct", "regret_24h_pct",
]  # fmt: skip


def when(at):
    return datetime.fromtimestamp(at, UTC).isoformat()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    chance = np.random.default_rng(4)
    actual = ["zone,basis,t,ci"]
    issues = ["zone,basis,issued,valid,forecast"]
    for zone, level in (("AA", 200), ("BB", 50)):
        hours = np.arange((DAYS + 4) * 24)
        values = (
            level * (1.5 + np.sin(hours / 24 * 2 * np.pi)) * chance.uniform(0.9, 1.1, len(hours))
        )
        actual += [
            f"{zone},direct,{when(AT + 3600 * h)},{v:.3f}"
            for h, v in zip(hours, values, strict=True)
        ]
        for day in range(20, DAYS):
            at = AT + 86_400 * day
            issues += [
                f"{zone},direct,{when(at)},{when(at + 3600 * lead)},{values[24 * day + lead]:.3f}"
                for lead in range(96)
            ]
    (folder / "actual.csv").write_text("\n".join(actual) + "\n")
    (folder / "issues.csv").write_text("\n".join(issues) + "\n")
    return folder


def command(files, *more):
    return main(
        [
            "intensity", "evaluate", "--actual", str(files / "actual.csv"),
            "--forecasts", str(files / "issues.csv"), *more,
        ]
    )  # fmt: skip


def test_json_has_a_row_for_each_zone_method_and_lead_day(files, capsys):
    assert command(files, "--json", "--from", "2021-08-01", "--to", "2021-08-05") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [list(row) for row in rows] == [KEYS] * 32
    assert {(row["zone"], row["method"], row["lead_day"]) for row in rows} == {
        (zone, method, day)
        for zone in ("AA", "BB")
        for method in ("provider", "persistence", "week-mean", "carbonsched")
        for day in (1, 2, 3, 4)
    }
    for row in rows:
        assert row["n"] == 5 * 24
        assert (row["coverage80_pct"] is None) == (row["method"] != "carbonsched")
        if row["method"] == "provider":  # it knew everything
            assert row["mape_pct"] == row["bias_g_per_kwh"] == row["regret_4h_pct"] == 0
        if row["method"] == "persistence":
            assert row["mape_pct"] > 3
            assert row["regret_1h_pct"] > 0


def test_the_table_fits_eighty_columns(files, capsys):
    assert command(files, "--zone", "BB", "--basis", "direct", "--from", "2021-08-10") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "BB direct: 5 issues, 2021-08-10 to 2021-08-14"
    assert len(lines) == 2 + 4 * 4 + 3
    assert max(len(line) for line in lines) <= 80


def test_a_chart_is_written(files, tmp_path, capsys):
    path = tmp_path / "chart.html"
    assert command(files, "--from", "2021-08-14", "--chart", str(path)) == 0
    text = path.read_text()
    assert "AA direct" in text
    assert "BB direct" in text
    assert "chart.html" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--zone", "XX"], "--zone 'XX' is not in both files; they share: AA, BB"),
        (["--basis", "lifecycle"], "--basis 'lifecycle' is not in both files; they share: direct"),
        (["--from", "2022-01-01"], "they go from 2021-07-21 to 2021-08-14"),
        (["--from", "soon"], "'soon' is not a date; write 2021-10-01"),
        (["--from", "2021-08-01T12:00"], "is not a day"),
        (["--lag", "x"], "whole hours from 0 to 48"),
        (["--from", "2021-08-14", "--chart", "/nowhere/x.html"], "/nowhere/x.html: No such file"),
    ],
)
def test_a_wrong_request_is_one_line(files, capsys, more, says):
    assert command(files, *more) == 64
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert error.startswith("carbonsched intensity: ")


def test_files_without_a_zone_are_of_the_one_that_is_asked_for(files, tmp_path, capsys):
    paths = []
    for name in ("actual.csv", "issues.csv"):
        lines = (files / name).read_text().splitlines()
        kept = [line.partition(",")[2] for line in lines if line.startswith(("zone,", "AA,"))]
        paths.append(tmp_path / name)
        paths[-1].write_text("\n".join(kept) + "\n")
    arguments = ["intensity", "evaluate", "--actual", str(paths[0]), "--forecasts", str(paths[1])]
    named = []
    for more in (["--zone", "AA"], []):
        assert main([*arguments, "--json", "--from", "2021-08-10", *more]) == 0
        named += {row["zone"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert named == ["AA", None]


def test_a_zone_that_cannot_be_scored_keeps_no_other_from_it(files, tmp_path, capsys):
    text = (files / "issues.csv").read_text()
    late = [line for line in text.splitlines() if not line.startswith("BB,") or "2021-08" in line]
    issues = tmp_path / "issues.csv"
    issues.write_text("\n".join(late) + "\n")
    arguments = ["intensity", "evaluate", "--actual", str(files / "actual.csv")]
    arguments += ["--forecasts", str(issues), "--json", "--to", "2021-07-25"]
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert {row["zone"] for row in json.loads(told.out)["rows"]} == {"AA"}
    assert "BB direct is left out: no issue lies between --from and --to" in told.err
    assert main([*arguments, "--zone", "BB"]) == 64
    assert "BB direct: no issue lies between" in capsys.readouterr().err


def test_files_without_a_common_zone_or_time_say_so(files, tmp_path, capsys):
    other = tmp_path / "other.csv"
    arguments = ["intensity", "evaluate", "--forecasts", str(files / "issues.csv"), "--actual"]
    other.write_text("zone,basis,t,ci\nCC,direct,2021-07-01T00:00Z,5\n")
    assert main([*arguments, str(other)]) == 64
    assert "no zone and basis is in both files" in capsys.readouterr().err
    other.write_text("zone,basis,t,ci\nAA,direct,2011-07-01T00:00Z,5\n")
    assert main([*arguments, str(other)]) == 64
    assert "no hour has both a forecast and an actual value" in capsys.readouterr().err
