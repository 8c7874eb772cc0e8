"""Slurm that does not answer, or refuses, and a daemon that is killed."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from carbonsched.errors import ClusterError, ClusterUnavailableError
from carbonsched.model.stop import StopState

from .stopping import (
    CLEAN_AT,
    GRACE_S,
    killed,
    running,
    stop,
    tick,
)


def test_slurm_is_not_asked_about_jobs_in_their_grace(site, signalled):
    asked = []
    standing = site.slurm.standing
    site.slurm.standing = lambda job_id: asked.append(job_id) or standing(job_id)
    tick(site)
    assert asked == []
    tick(site, GRACE_S)
    assert asked == [1]


def test_a_refused_requeue_is_not_tried_again(site, signalled, caplog):
    caplog.set_level(logging.INFO)
    standing = site.slurm.standing
    site.slurm.standing = lambda job_id: replace(standing(job_id), requeueable=True)
    site.slurm.fixed.add(1)
    for _ in range(4):
        tick(site, GRACE_S)
    assert stop(site, signalled) is StopState.LEFT
    assert site.slurm.present[1].state == "RUNNING"
    assert caplog.text.count("job 1 was not requeued: disabled") == 1
    assert site.slurm.signals == [(1, "USR1")]


def test_while_slurm_does_not_answer_nothing_is_lost_and_plans_go_on(site, signalled, caplog):
    answer = site.slurm.standing

    def silent(_job_id):
        raise ClusterUnavailableError("scontrol gave no answer")

    site.slurm.standing = silent
    tick(site, GRACE_S)
    assert "stops wait for the next tick" in caplog.text
    assert stop(site, signalled) is StopState.SIGNALLED
    site.slurm.standing = answer
    tick(site)
    assert site.slurm.requeues == [1]


def test_an_answer_that_cannot_be_read_is_asked_for_again_but_not_for_ever(site, signalled):
    answer = site.slurm.standing

    def garbled(_job_id):
        raise ClusterError("scontrol show job has 2 lines of a kind where one belongs")

    site.slurm.standing = garbled
    tick(site, GRACE_S)
    site.slurm.standing = answer
    tick(site)
    assert site.slurm.requeues == [1]
    site.slurm.standing = garbled
    tick(site)
    assert stop(site, signalled) is StopState.REQUEUEING
    tick(site, 700)
    assert stop(site, signalled) is StopState.LEFT


@pytest.mark.parametrize("before", [True, False])
def test_killed_at_the_signal_the_next_daemon_signals_again_and_goes_on(site, before):
    job = running(site)
    again = killed(site, "signal", before=before)
    tick(again)
    assert len(site.slurm.signals) == (1 if before else 2)
    assert stop(again, job) is StopState.SIGNALLED
    tick(again, GRACE_S)
    tick(again)
    assert site.slurm.requeues == [1]


@pytest.mark.parametrize("before", [True, False])
def test_killed_at_the_requeue_the_next_daemon_sees_to_it_that_there_is_one(
    site, signalled, before
):
    site.clock.at += GRACE_S
    again = killed(site, "requeue", before=before)
    for _ in range(3):
        tick(again)
    assert site.slurm.requeues == [1]
    assert stop(again, signalled) is StopState.REQUEUED
    assert site.slurm.moves[-1][:2] == (1, CLEAN_AT)
