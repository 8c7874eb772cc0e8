"""Which running jobs are stopped, and which are left alone."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from carbonsched.errors import ClusterError
from carbonsched.model.directives import Directives
from carbonsched.model.stop import StopState
from carbonsched.services.stops import MOST

from .stopping import (
    HILL,
    HOUR,
    LEAST_RUN_S,
    SPLIT,
    START,
    running,
    stop,
    tick,
)


@pytest.mark.parametrize(
    ("directives", "fields"),
    [
        (Directives(max_delay_s=12 * HOUR), {}),
        (replace(SPLIT, start_now=True, max_delay_s=None), {}),
        (replace(SPLIT, max_delay_s=0), {}),
        (SPLIT, {"array_job_id": 1, "array_task": "3"}),
        (SPLIT, {"het_job_id": 1}),
    ],
    ids=["no directive", "now", "no delay", "array", "heterogeneous"],
)
def test_only_single_jobs_whose_owners_agreed_are_stopped(site, directives, fields):
    running(site, directives, **fields)
    tick(site)
    assert site.slurm.signals == []


def test_a_run_is_not_stopped_before_it_has_lasted(site):
    running(site, ran_s=LEAST_RUN_S - 1)
    site.round()
    assert site.slurm.signals == []
    tick(site, 1)
    assert site.slurm.signals == [(1, "USR1")]


def test_nothing_is_stopped_in_shadow_mode_nor_where_the_site_forbids_it_nor_blindly(make_site):
    off = make_site()
    unwilling = replace(off, stopping=replace(off.stopping, enabled=False))
    for site in (make_site(shadow=True), unwilling):
        running(site)
        tick(site)
        assert site.slurm.signals == []
    blind = make_site()
    running(blind)
    blind.clock.at += 30 * HOUR  # no forecast reaches so far
    blind.round()
    assert blind.slurm.signals == []


def test_a_stop_after_which_the_rest_would_start_at_once_is_none(site):
    """In pieces a long job would save much; started later, but in one go, next to nothing."""
    job = running(site, replace(SPLIT, max_delay_s=30 * HOUR), time_limit_s=48 * HOUR)
    site.forecast(*[400, 400, 100, 100] * 14)
    for _ in range(3):
        tick(site)
    assert stop(site, job) is None
    assert site.slurm.signals == []


def test_only_so_many_are_told_in_one_tick_and_those_first_that_save_most(site):
    site.slurm.cpus = 64
    site.forecast(*[100] * 20)
    jobs = [
        site.slurm.submit(directives=SPLIT, begin=0, cpus=cpus, time_limit_s=6 * HOUR)
        for cpus in (*[1] * MOST, 8, 4)
    ]
    site.round()
    for job in jobs:
        site.slurm.begin(job.key.job_id)
    site.clock.at = START + HOUR
    site.forecast(*HILL)
    site.round()
    told = [job_id for job_id, _ in site.slurm.signals]
    assert told[:2] == [MOST + 1, MOST + 2]
    assert len(told) == MOST
    tick(site)
    assert len(site.slurm.signals) == len(jobs)


def test_a_job_that_cannot_be_requeued_gets_no_signal(site, caplog):
    caplog.set_level(logging.INFO)
    job = running(site)
    site.slurm.fixed.add(1)
    for _ in range(3):
        tick(site)
    assert site.slurm.signals == []
    assert stop(site, job) is StopState.LEFT
    assert caplog.text.count("job 1 of ada is not stopped: it was submitted with --no-req") == 1


def test_a_job_of_which_nothing_can_be_read_gets_no_signal(site):
    job = running(site)

    def garbled(_job_id):
        raise ClusterError("scontrol show job has 2 lines of a kind where one belongs")

    site.slurm.standing = garbled
    for _ in range(2):
        tick(site)
    assert site.slurm.signals == []
    assert stop(site, job) is StopState.LEFT
