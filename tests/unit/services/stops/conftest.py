"""Jobs on their way to be stopped."""

from __future__ import annotations

import pytest

from carbonsched.model.stop import StopState

from .stopping import GRACE_S, running, stop, tick


@pytest.fixture
def signalled(site):
    """A job within its grace."""
    job = running(site)
    site.round()
    assert site.slurm.signals == [(1, "USR1")]
    assert stop(site, job) is StopState.SIGNALLED
    return job


@pytest.fixture
def requeued(site, signalled):
    """The same, requeued when its grace was over, and its new run known."""
    tick(site, GRACE_S)
    assert site.slurm.requeues == [1]
    tick(site)
    assert stop(site, signalled) is StopState.REQUEUED
    (known,) = site.ledger.jobs.open("lab")
    assert known.job.key.restarts == 1
    return known
