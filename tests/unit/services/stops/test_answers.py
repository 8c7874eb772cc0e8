"""From the signal to the requeue, by what the job does then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.model.stop import StopState

from .stopping import (
    CLEAN_AT,
    GRACE_S,
    SPLIT,
    stop,
    tick,
)


def test_a_job_gets_a_signal_then_its_grace_and_is_requeued_once(site, signalled):
    tick(site)
    assert site.slurm.requeues == []
    for _ in range(4):
        tick(site)
    assert site.slurm.requeues == [1]
    assert site.slurm.signals == [(1, "USR1")]
    assert stop(site, signalled) is StopState.REQUEUED


@pytest.mark.parametrize(
    ("status", "by_signal"), [(75, 0), (0, 10), (128 + 10, 0)], ids=["75", "signal", "shell"]
)
def test_a_job_that_ends_to_go_on_is_requeued_before_its_grace_is_over(
    site, signalled, status, by_signal
):
    site.clock.at += 10
    ended_at = site.clock.at
    site.slurm.end(1, "FAILED", status, by_signal)
    tick(site, 20)
    assert site.slurm.requeues == [1]
    tick(site)
    first, second = site.views.jobs("ada", 1, 0, None, evidence=False)["jobs"]
    assert (first["state"], first["ended_at"]) == ("REQUEUED", ended_at), "not when it was requeued"
    assert (second["restarts"], second["state"]) == (1, "PENDING")
    assert site.slurm.moves[-1][:2] == (1, CLEAN_AT)


@pytest.mark.parametrize(
    ("state", "status", "by_signal"),
    [("COMPLETED", 0, 0), ("FAILED", 1, 0), ("FAILED", 0, 9), ("CANCELLED", 0, 15),
     ("TIMEOUT", 0, 10), ("CANCELLED", 75, 0)],
)  # fmt: skip
def test_a_job_that_ends_otherwise_is_not_run_again(site, signalled, state, status, by_signal):
    site.slurm.end(1, state, status, by_signal)
    for _ in range(3):
        tick(site)
    assert site.slurm.requeues == []
    assert stop(site, signalled) is StopState.LEFT
    assert site.slurm.present == {}


def test_a_job_that_completes_in_the_moment_of_its_requeue_is_not_run_again(site, signalled):
    requeue = site.slurm.requeue

    def too_late(job_id, *, ended):
        site.slurm.end(job_id)
        requeue(job_id, ended=ended)

    site.slurm.requeue = too_late
    tick(site, GRACE_S)
    tick(site)
    assert site.slurm.requeues == []
    assert stop(site, signalled) is StopState.LEFT


def test_a_job_that_somebody_holds_in_the_grace_is_left_to_them(site, signalled):
    site.slurm.present[1] = replace(site.slurm.present[1], reason="JobHeldAdmin")
    tick(site, GRACE_S)
    assert site.slurm.requeues == []
    assert site.ledger.stops.of(signalled.key).note == "it is held (JobHeldAdmin)"


def test_a_requeue_by_somebody_else_is_not_ours(site, signalled):
    site.slurm.requeue(1, ended=False)
    site.slurm.requeues.clear()
    tick(site)
    assert stop(site, signalled) is StopState.LEFT
    (known,) = site.ledger.jobs.open("lab")
    again = known.job.key
    assert again.restarts == 1
    latest_at = site.ledger.plans.plan(again).latest_at
    assert latest_at == again.submitted_at + SPLIT.max_delay_s, "as it is today"
    assert site.ledger.stops.before(again) is None


def test_a_job_that_ran_on_for_long_after_its_checkpoint_is_let_be(site, signalled):
    tick(site, GRACE_S + 700)
    assert site.slurm.requeues == []
    assert stop(site, signalled) is StopState.LEFT
