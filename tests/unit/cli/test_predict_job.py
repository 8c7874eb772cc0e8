"""``carbonsched predict JOB`` and ``csqueue --predicted``."""

from __future__ import annotations

import argparse
import json

import pytest

from carbonsched.cli import csqueue, predict
from carbonsched.cli.predict_job import run_job
from carbonsched.errors import RequestError
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
