from __future__ import annotations

import json

import pytest

from carbonsched.cli import simulate
from carbonsched.cli.common import Parser
from carbonsched.errors import RequestError
from carbonsched.sim.bound import Bound
from carbonsched.sim.report import bound_line


def command(*arguments: str) -> int:
    parser = Parser(prog="carbonsched simulate")
    simulate.configure(parser)
    parsed = parser.parse_args(arguments)
    return parsed.run(parsed)


def test_the_command_prints_tables_and_writes_schedules_and_a_chart(tmp_path, capsys):
    status = command(
        "example", "--out", str(tmp_path / "out"), "--chart", str(tmp_path / "chart.html")
    )
    assert status == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "example: 200 jobs on 48 nodes in DE"
    names = ["policy", "immediate", "carbon"]
    assert [line.split()[0] for line in lines[1:4]] == names
    assert [line.split()[0] for line in lines[5:8]] == names
    assert max(map(len, lines[:8])) <= 80
    assert lines[2].split()[1:] == ["117.5", "0.00", "%", "-", "0.00", "%", "0.00", "h", "0"]
    for policy in ("immediate", "carbon"):
        assert len((tmp_path / "out" / policy / "schedule.csv").read_text().splitlines()) == 201
    assert "Plotly" in (tmp_path / "chart.html").read_text()[:200_000]


def test_one_policy_writes_its_schedule_where_it_was_asked_to(tmp_path):
    assert command("example", "--policy", "immediate", "--out", str(tmp_path)) == 0
    assert (tmp_path / "schedule.csv").is_file()


def test_json_has_all_digits_and_nothing_else_is_on_stdout(tmp_path, capsys):
    command("example", "--policy", "immediate", "--json", "--out", str(tmp_path))
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["scenario"], told["bound_kg"]) == ("example", None)
    (row,) = told["policies"]
    assert row["policy"] == "immediate"
    assert row["kg"] == pytest.approx(117.511583, abs=1e-6)
    assert (row["capture"], row["calls"]) == (None, 0)
    assert "schedule.csv" in printed.err


def test_peers_are_simulated_when_they_are_asked_for(capsys):
    command("example", "--policy", "cats", "--policy", "wait-awhile")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["immediate", "cats", "wait-awhile"]
    assert max(map(len, lines)) <= 80
    assert lines[3].split()[2] != lines[4].split()[2] != "0.00"


def test_the_bound_comes_with_each_policys_capture(tmp_path, capsys):
    command("example", "--policy", "immediate", "--bound")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("bound: 91.9 kg (saves 21.78 %)")
    assert lines[3].split()[4:6] == ["0.0", "%"]
    assert max(map(len, lines)) <= 80
    command("example", "--policy", "immediate", "--bound", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["bound_kg"] == pytest.approx(91.921, rel=1e-4)
    assert told["bound_gap"] < 1e-4
    assert told["policies"][0]["capture"] == 0


def test_a_bound_that_was_stopped_says_what_is_not_proven():
    line = bound_line(Bound(kg=80, programme_kg=100, seconds=1), 120)
    assert "(saves 33.33 %)" in line
    assert "up to 20 % tighter" in line
    assert max(map(len, line.splitlines())) <= 80


def test_a_schedule_made_elsewhere_is_scored_beside(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    command("example", "--policy", "immediate", "--out", str(tmp_path / "mine"))
    capsys.readouterr()
    path = tmp_path / "mine" / "schedule.csv"
    command("example", "--policy", "immediate", "--schedule", str(path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split() == ["mine", *lines[2].split()[1:-1], "-"]


def test_a_void_schedule_is_one_line(tmp_path):
    command("example", "--policy", "immediate", "--out", str(tmp_path))
    path = tmp_path / "schedule.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(RequestError, match=r"void, job e\d+: does not run"):
        command("example", "--policy", "immediate", "--schedule", str(path))


def test_schedules_of_one_name_are_told_apart_by_their_files(tmp_path, capsys):
    command("example", "--policy", "immediate", "--out", str(tmp_path))
    path = str((tmp_path / "schedule.csv").rename(tmp_path / "immediate.csv"))
    capsys.readouterr()
    command("example", "--policy", "immediate", "--schedule", path)
    assert capsys.readouterr().out.splitlines()[3].split()[:2] == ["immediate.csv", "117.5"]
    with pytest.raises(RequestError, match=r"named immediate\.csv already"):
        command("example", "--policy", "immediate", "--schedule", path, "--schedule", path)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="file"):
        command("example", "--policy", "immediate", "--out", str(tmp_path / "file" / "below"))


@pytest.mark.parametrize("bad", [["--slot", "0"], ["--minimum-gain", "101"], ["--policy", "x"]])
def test_options_that_cannot_be_are_refused(bad):
    with pytest.raises(RequestError, match="argument"):
        command("example", *bad)


def test_what_is_known_makes_rows_of_their_own_that_are_said_to_be_no_policies(short, capsys):
    told = ("--know", "run-times,arrivals", "--know", "all", "--policy", "immediate")
    command(short(), *told)
    lines = capsys.readouterr().out.splitlines()
    names = ["immediate", "carbon+run-times+arrivals", "carbon+all"]
    assert [line.split()[0] for line in lines[2:5]] == names
    assert lines[-1].startswith("A row with + is an analysis, not a policy")
    assert max(map(len, lines)) <= 80
    with pytest.raises(RequestError, match="'weather' cannot be known"):
        command("example", "--know", "weather")


def test_the_explanation_adds_up_to_the_bound(short, capsys):
    command(short(jobs=40), "--explain")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("bound: ")
    assert max(map(len, lines)) <= 80
    start = next(i for i, line in enumerate(lines) if line.startswith("carbon knows"))
    first, *steps, missing = lines[start + 1 : start + 6]
    captures = [float(line.split("%")[0].split()[-1]) for line in (first, *steps)]
    adds = [float(line.split()[-1]) for line in (*steps, missing)]
    assert captures[0] + sum(adds) == pytest.approx(100, abs=0.3)
    assert captures[-1] > captures[0]


def test_several_scenarios_have_a_table_each(short, tmp_path, capsys):
    asked = (short("one"), short("two"), "--policy", "cats", "--policy", "immediate")
    command(*asked, "--out", str(tmp_path / "out"))
    heads = [line for line in capsys.readouterr().out.splitlines() if "jobs on" in line]
    assert [line.split(":")[0] for line in heads] == ["one", "two"]
    assert (tmp_path / "out" / "two" / "cats" / "schedule.csv").is_file()
    command(*asked, "--json")
    told = json.loads(capsys.readouterr().out)
    assert [one["scenario"] for one in told] == ["one", "two"]
    for extra in (["--chart", "x.svg"], ["--schedule", "x.csv"]):
        with pytest.raises(RequestError, match="goes with one SCENARIO"):
            command(*asked, *extra)
    with pytest.raises(RequestError, match="two scenarios named example"):
        command("example", "example")
