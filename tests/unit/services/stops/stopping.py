"""A running job that had better stop, and how far it has come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.model.directives import Directives
from carbonsched.transport.munge import Caller

START, HOUR = 1_792_998_000, 3600
GRACE_S, COST_S, LEAST_RUN_S, SLURMS_DELAY_S = 120, 300, 1800, 121
SPLIT = Directives(checkpoint=True, max_delay_s=12 * HOUR)
HILL = (400, 400, 400, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100)
ROOT = Caller(uid=0, gid=0, payload=b"")
CLEAN_AT = START + 4 * HOUR  # the hill begins when the job has run for an hour


def running(site, directives=SPLIT, *, ran_s=HOUR, **fields):
    """A job that began in clean hours; then the forecast turns dirty for three hours."""
    site.forecast(*[100] * 20)
    fields = {"time_limit_s": 6 * HOUR, **fields}
    job = site.slurm.submit(directives=directives, begin=0, **fields)
    site.round()
    site.slurm.begin(job.key.job_id)
    site.clock.at += 60
    site.round()
    site.clock.at = START + ran_s
    site.forecast(*HILL)
    return job


def tick(site, after_s=60):
    site.clock.at += after_s
    site.round()


def stop(site, job):
    found = site.ledger.stops.of(job.key)
    return found.state if found else None


class Killed(BaseException):
    """The process is gone."""


def killed(site, method, *, before):
    """The daemon dies just before or after one of Slurm's commands; the next one on its ledger."""
    real = getattr(site.slurm, method)

    def dies(*args, **kwargs):
        if not before:
            real(*args, **kwargs)
        raise Killed

    setattr(site.slurm, method, dies)
    with pytest.raises(Killed):
        site.round()
    setattr(site.slurm, method, real)
    return replace(site)
