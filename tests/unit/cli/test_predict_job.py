"""``carbonsched predict JOB`` and ``csqueue --predicted``."""

from __future__ import annotations

import argparse
import json

import pytest

from carbonsched.cli import csqueue, predict
from carbonsched.cli.main import main
from carbonsched.cli.predict_job import run_job
from carbonsched.errors import DaemonError, RequestError
from carbonsched.reports.terminal import cells


@pytest.fixture
def ask(daemon, capsys):
    def asking(*words):
        parser = argparse.ArgumentParser()
        predict.configure(parser)
        assert run_job(parser.parse_args(words), daemon.client) == 0
        return capsys.readouterr().out

    return asking


def test_it_tells_end_energy_grams_and_grounds_in_80_columns(ask):
    lines = ask("1301").splitlines()
    assert lines[0].startswith("1301 train-unet")
    assert all(cells(line) <= 80 for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "Prediction from history: 7 earlier jobs of the same name" in text
    head, *rows = [line.split() for line in lines[3:8]]
    assert " ".join(head) == "predicted half lie within nine in ten within"
    assert [" ".join(row) for row in rows] == [
        "finish Sat 04:00 Sat 03:50 - Sat 04:10 Sat 03:40 - Sat 04:30",
        "time 02:00:00 01:50:00 - 02:10:00 01:40:00 - 02:30:00",
        "energy 1.50 kWh 1.39 kWh - 1.64 kWh 1.22 kWh - 1.92 kWh",
        "CO2 412 g 380 g - 450 g 340 g - 520 g",
    ]


def test_what_is_not_known_is_told_as_such(ask, daemon, samples):
    job = samples.queue_job()
    old = dict.fromkeys(("duration_p25_s", "duration_p75_s", "energy_p25_j", "energy_p75_j"))
    unweighed = dict.fromkeys(("mg", "mg_low", "mg_p25", "mg_p75", "mg_high"))
    job["prediction"] |= old | unweighed
    job |= dict.fromkeys(
        ("finish_at", "finish_low_at", "finish_p25_at", "finish_p75_at", "finish_high_at")
    )
    daemon.answers["/v1/queue"] = (200, {"now": samples.NOW, "jobs": [job]})
    rows = [" ".join(line.split()) for line in ask("1301").splitlines()]
    assert "time 02:00:00 - 01:40:00 - 02:30:00" in rows
    assert "CO2 not known" in rows
    assert not any(row.startswith("finish") for row in rows)


def test_for_programs_it_is_the_queues_row(ask):
    document = json.loads(ask("1301", "--json"))
    (job,) = document["jobs"]
    assert job["job_id"] == 1301
    assert job["prediction"]["energy_j"] == 5_400_000


def test_a_job_that_is_not_there_is_one_line(ask):
    with pytest.raises(RequestError, match="999"):
        ask("999")


def test_the_queues_table_of_predictions_fits_80_columns(daemon, capsys):
    assert csqueue.run(csqueue._parser().parse_args(["--predicted"]), daemon.client) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(cells(line) <= 80 for line in lines)
    assert "1.50 kWh" in next(line for line in lines if line.startswith("1301"))


# Under another GPU power limit, on other nodes

LEFT = {
    "duration_s": 7200, "duration_low_s": 6000, "duration_high_s": 9000, "energy_j": 5_400_000,
    "energy_low_j": 4_400_000, "energy_high_j": 6_900_000, "mg": 412_000, "mg_low": 340_000,
    "mg_high": 520_000,
}  # fmt: skip
OTHERWISE = {
    "why": "", "here": "300 W on gpu[01-08]", "there": "200 W on gpu[01-08]", "jobs": 1,
    "by": "by 1 job of its name that ran at both", "time_ratio": 1.25, "energy_ratio": 0.8,
    "beyond_limit": True, "left": LEFT,
    "changed": {**LEFT, "duration_s": 9000, "energy_j": 4_320_000, "mg": 330_000},
}  # fmt: skip
UNKNOWN = {
    **dict.fromkeys(OTHERWISE), "beyond_limit": False,
    "why": "nothing tells how 200 W on gpu[01-08] compares with 300 W on gpu[01-08]",
}  # fmt: skip


@pytest.fixture
def told(daemon, monkeypatch):
    """The queue's answer with these words on its first jobs."""
    status, document = daemon.answers["/v1/queue"]
    document = json.loads(json.dumps(document))

    def telling(*given):
        for job, one in zip(document["jobs"], given, strict=False):
            job["otherwise"] = one

    monkeypatch.setitem(daemon.answers, "/v1/queue", (status, document))
    return telling


def test_what_is_left_is_told_as_it_is_and_as_asked(ask, told, daemon):
    told(OTHERWISE)
    lines = ask("1301", "--gpu-power-limit", "200").splitlines()
    assert all(cells(line) <= 80 for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "Left of it at 300 W on gpu[01-08], as it is: time 02:00:00" in text
    assert (
        "Left of it at 200 W on gpu[01-08], by 1 job of its name that ran at both: time 02:30:00"
        " - 01:40:00 - 02:30:00 energy 1.20 kWh - 1.22 kWh - 1.92 kWh CO2 330 g" in text
    )
    assert "Its time limit would end it before that." in text
    assert daemon.asked[-1][1] == {"job": "1301", "gpu_limit_w": "200"}


def test_other_nodes_are_named_to_the_daemon_as_given(ask, told, daemon):
    told(OTHERWISE)
    document = json.loads(ask("1301", "--node-type", "gpu[01-08]", "--json"))
    assert document["jobs"][0]["otherwise"] == OTHERWISE
    assert daemon.asked[-1][1] == {"job": "1301", "nodes": "gpu[01-08]"}


def test_where_nothing_is_known_that_is_the_answer(ask, told):
    told(UNKNOWN)
    with pytest.raises(RequestError, match=r"^nothing tells how 200 W"):
        ask("1301", "--gpu-power-limit", "200")
    with pytest.raises(RequestError, match="nothing tells how 200 W"):
        ask("1301", "--gpu-power-limit", "200", "--json")


def test_without_the_options_the_daemon_is_asked_for_the_queue_alone(ask, told, daemon):
    told(UNKNOWN)
    assert "Otherwise" not in ask("1301")
    assert daemon.asked[-1][1] == {}


def test_a_daemon_of_before_is_told_apart_from_one_that_knows_nothing(ask):
    with pytest.raises(DaemonError, match="upgrade it"):
        ask("1301", "--gpu-power-limit", "200")


@pytest.mark.parametrize("watts", ["0", "-5", "200.5", "many", "9999999", "²"])
def test_a_limit_is_a_number_of_whole_watts(capsys, watts):
    assert main(["predict", "1301", f"--gpu-power-limit={watts}"]) == RequestError.exit_status
    assert "is not a number of whole watts" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--gpu-power-limit=200", "--node-type=n1"])
def test_a_recorded_log_knows_no_other_conditions(capsys, option):
    words = ["predict", "--epoch-log", "run.csv", "--after", "1", "--epochs", "5", option]
    assert main(words) == RequestError.exit_status
    assert "of a job in the queue" in capsys.readouterr().err
