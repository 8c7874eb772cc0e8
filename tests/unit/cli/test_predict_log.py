from __future__ import annotations

import json

import pytest

from carbonsched.cli.main import main

KEYS = [
    "epochs", "after", "energy_j", "energy_j_p05", "energy_j_p95",
    "duration_s", "duration_s_p05", "duration_s_p95", "method", "method_version",
]  # fmt: skip


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "run.csv"
    lines = [f"{number},{2 if number > 1 else 4},100" for number in range(1, 11)]
    path.write_text("epoch,duration_s,energy_j\n" + "\n".join(lines) + "\n")
    return path


def predict(log, *more):
    return main(["predict", "--epoch-log", str(log), *more])


def test_json_has_what_the_job_is_predicted_to_need(log, capsys):
    assert predict(log, "--after", "5", "--epochs", "10", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == KEYS
    assert (document["epochs"], document["after"]) == (10, 5)
    assert document["energy_j"] == pytest.approx(1000, rel=0.001)
    assert document["duration_s"] == pytest.approx(22, rel=0.01)
    assert document["duration_s_p05"] < document["duration_s"] < document["duration_s_p95"]
    assert (document["method"], document["method_version"]) == ("epochs", "2")


def test_only_the_first_epochs_are_seen(log, capsys):
    arguments = ("--after", "3", "--epochs", "10", "--json")
    predict(log, *arguments)
    before = capsys.readouterr().out
    kept = log.read_text().splitlines()[:4]
    log.write_text("\n".join([*kept, "4,9e9,1", "what is this", ""]))
    predict(log, *arguments)
    assert capsys.readouterr().out == before


def test_people_get_a_table_of_80_columns_and_what_it_rests_on(log, capsys):
    history = ("--history", str(log), str(log))
    assert predict(log, "--after", "1", "--epochs", "10", "--validate-every", "3", *history) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines[1:])
    assert [line.split()[0] for line in lines[2:5]] == ["predicted", "energy", "duration"]
    assert "validation declared after every 3. epoch" in lines
    assert "2 of 2 earlier logs go on for longer" in lines


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (("--after", "11", "--epochs", "20"), "has 10 epochs; --after 11 is more than that"),
        (("--after", "0", "--epochs", "20"), "--after 0: at least one epoch has to be seen"),
        (("--after", "5", "--epochs", "4"), "--epochs 4: write a number from --after, 5,"),
        (("--after", "5"), "--epoch-log needs --after K and --epochs N"),
        (("--after", "5", "--epochs", "9", "--validate-every", "0"), "write 1 or more"),
        (("--after", "5", "--epochs", "9", "--history", "/no/such"), "No such file"),
        (("--after", "five", "--epochs", "9"), "invalid int value: 'five'"),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(log, capsys, more, fault):
    assert predict(log, *more) == 64
    said = capsys.readouterr()
    assert said.out == ""
    assert fault in said.err
    assert said.err.count("\n") == 1


def test_a_wrong_line_is_named(log, capsys):
    log.write_text("epoch,duration_s,energy_j\n1,2,3\n2,oops,3\n")
    assert predict(log, "--after", "2", "--epochs", "9") == 64
    assert "run.csv: line 3: duration_s 'oops'" in capsys.readouterr().err


def test_something_has_to_be_named(capsys):
    assert main(["predict"]) == 64
    assert "name a job" in capsys.readouterr().err
