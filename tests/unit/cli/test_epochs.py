"""``carbonsched epochs JOB``: a job's epochs as a log that ``predict --epoch-log`` reads."""

from __future__ import annotations

import argparse
import json

import pytest

from carbonsched.cli import epochs
from carbonsched.errors import RequestError
from carbonsched.prediction.epoch_log import read_log


def epoch(number, *, parts=(), ms=61_005, millij=1_234_007):
    return {
        "epoch": number, "restarts": 0, "started_ms": 10**12 + number, "duration_ms": ms,
        "energy_millij": millij, "steps": 40, "parts": [list(one) for one in parts],
    }  # fmt: skip


def job(*rows, job_id=1204, shown_id="1204", cluster="lab"):
    return {
        "cluster": cluster, "job_id": job_id, "shown_id": shown_id, "user": "ada", "name": "unet",
        "epochs": list(rows),
    }  # fmt: skip


PARTS = [(20_000, 400_000), (20_005, 400_007), (10_000, 34_000), (11_000, 400_000)]


@pytest.fixture
def ask(daemon, capsys):
    def asking(jobs, *words):
        daemon.answers["/v1/epochs"] = (200, {"jobs": jobs})
        parser = argparse.ArgumentParser()
        epochs.configure(parser)
        assert epochs.run(parser.parse_args(words), daemon.client) == 0
        return capsys.readouterr()

    return asking


def test_the_log_is_one_that_predict_reads_and_adds_up(ask):
    rows = [epoch(1, parts=PARTS), epoch(2, parts=PARTS)]
    whole, parted = (ask([job(*rows)], "1204", *words) for words in ((), ("--parts",)))
    assert whole.out.splitlines() == [
        "epoch,duration_s,energy_j", "1,61.005,1234.007", "2,61.005,1234.007"
    ]  # fmt: skip
    assert whole.err == parted.err == ""
    by_epoch, by_part = (read_log(one.out.splitlines()) for one in (whole, parted))
    assert [len(one.parts) for one in by_part] == [4, 4]
    for one, other in zip(by_epoch, by_part, strict=True):
        assert one.cost.seconds == pytest.approx(other.cost.seconds)
        assert one.cost.joules == pytest.approx(other.cost.joules)


def test_an_epoch_without_parts_is_one_part(ask):
    assert ask([job(epoch(1))], "1204", "--parts").out.splitlines()[1:] == [
        "1,1,1,40,61.005,1234.007"
    ]


def test_epochs_that_are_missing_are_told_beside_the_log(ask):
    shown = ask([job(epoch(1), epoch(4))], "1204")
    assert len(shown.out.splitlines()) == 3
    assert "Of epochs 1 to 4 only 2 are known" in shown.err


def test_for_programs_it_is_the_daemons_answer(ask, daemon):
    shown = ask([job(epoch(1, parts=PARTS))], "1204", "-u", "ada", "--json")
    assert json.loads(shown.out) == job(epoch(1, parts=PARTS))
    path, query, _ = daemon.asked[-1]
    assert (path, query) == ("/v1/epochs", {"job": "1204", "user": "ada"})


TASKS = [job(epoch(1), job_id=n, shown_id=f"1204_{n}") for n in (1, 2)]


def test_a_task_is_one_of_several(ask):
    assert json.loads(ask(TASKS, "1204_2", "--json").out)["shown_id"] == "1204_2"
    twins = [job(epoch(1), cluster=one) for one in ("lab", "north")]
    assert json.loads(ask(twins, "1204", "-M", "north", "--json").out)["cluster"] == "north"


@pytest.mark.parametrize(
    ("jobs", "words", "says"),
    [
        ([], ["1204"], "no epochs of job 1204"),
        (TASKS, ["1204"], "job 1204 is 2 jobs with epochs; name one: 1204_1"),
        (TASKS, ["1204_3"], "no epochs of job 1204_3"),
        ([job(epoch(1), cluster=one) for one in "ab"], ["1204"], "name one: -M a"),
        ([], ["no job"], "'no job' is not a job id"),
    ],
)
def test_what_is_not_one_job_is_one_line(ask, jobs, words, says):
    with pytest.raises(RequestError, match=says):
        ask(jobs, *words)
