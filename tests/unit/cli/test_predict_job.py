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
    assert "1.50 kWh (9 in 10: 1.22 kWh to 1.92 kWh)" in text
    assert "CO2" in text


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
