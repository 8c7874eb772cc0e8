"""Pilots: what is decided on them after their first epoch, through the services' own doors."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from carbonsched.errors import ClusterUnavailableError
from carbonsched.model.directives import Directives
from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.model.stop import StopState
from carbonsched.transport.munge import Caller

START, HOUR = 1_792_998_000, 3600
EPOCH_S, EPOCHS = 600, 12
GRACE_S = 120
PILOT = Directives(pilot=True, checkpoint=True, max_delay_s=12 * HOUR)
DIRTY_FIRST = (400, 400, 400, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100)
CLEAN_AT = START + 3 * HOUR
ROOT = Caller(uid=0, gid=0, payload=b"")


def submitted(site, directives=PILOT, forecast=DIRTY_FIRST, **fields):
    """A job that was looked at while it waits."""
    if forecast:
        site.forecast(*forecast)
    job = site.slurm.submit(directives=directives, begin=0, **{"time_limit_s": 6 * HOUR, **fields})
    site.round()
    return job


def started(site, *asked, **fields):
    """The same, running for a minute."""
    job = submitted(site, *asked, **fields)
    site.slurm.begin(job.key.job_id)
    tick(site)
    return job


def tick(site, after_s=60):
    site.clock.at += after_s
    site.round()


def tell(site, number, *, restarts=0, began_at=START, epochs=EPOCHS):
    """An epoch of job 1 is complete; the clock stands at its end."""
    record = EpochRecord(
        cluster="lab", node="n1", job_id=1, restarts=restarts, uid=1001, epoch=number,
        epochs=epochs, started_ms=began_at * 1000, duration_ms=EPOCH_S * 1000,
        energy_millij=60_000_000, relative_sd=None, samples=0, quality=Quality.MODELLED,
    )  # fmt: skip
    site.take.take(ROOT, [], [record.to_wire()])
    site.clock.at = max(site.clock.at, began_at + EPOCH_S)


def decision(site, job):
    return site.ledger.pilots.of(job.key)


def stop(site, job):
    found = site.ledger.stops.of(job.key)
    return found.state if found else None


def told(site, **more):
    """The queue's word on the pilot."""
    (row,) = site.views.queue("ada", **more)["jobs"]
    return row["pilot"]


@pytest.fixture
def decided(site):
    """A pilot that was told to stop after its first epoch."""
    job = started(site)
    tell(site, 1)
    site.round()
    assert site.slurm.signals == [(1, "USR1")]
    return job


def test_a_pilot_starts_at_once_where_another_job_waits(site):
    pilot = submitted(site)
    other = site.slurm.submit(directives=replace(PILOT, pilot=False), time_limit_s=6 * HOUR)
    site.round()
    plan = site.ledger.plans.plan(pilot.key)
    assert not plan.deferred
    assert site.ledger.plans.plan(other.key).start_at == CLEAN_AT
    assert [move[0] for move in site.slurm.moves if move[1] > START] == [other.key.job_id]
    assert "it is a pilot, whose first epoch comes at once" in plan.text


def test_before_its_first_epoch_it_is_never_stopped_however_long_that_takes(site):
    job = started(site)
    for _ in range(12):
        tick(site, HOUR // 6)
    assert site.slurm.signals == []
    assert decision(site, job) is None
    assert told(site) == {"decided_at": None, "stopped": None, "note": ""}


def test_after_it_it_is_stopped_sooner_than_others_and_that_is_written_down(site, decided):
    assert site.clock.at - START < site.stopping.least_run_s
    found = decision(site, decided)
    assert (found.decided_at, found.stopped) == (site.clock.at, True)
    assert found.note == site.ledger.stops.of(decided.key).note
    assert found.note.startswith("from about 2026-")
    assert "is expected to save" in found.note
    assert told(site) == {"decided_at": site.clock.at, "stopped": True, "note": found.note}


def test_what_is_left_waits_for_the_clean_window_and_is_no_pilot_any_more(site, decided):
    tick(site, GRACE_S)
    tick(site)
    (known,) = site.ledger.jobs.open("lab")
    assert known.job.key.restarts == 1
    assert site.slurm.moves[-1][:2] == (1, CLEAN_AT)
    rest = site.ledger.plans.prediction(known.job.key)
    assert rest.source == "epochs"
    left_s = (EPOCHS - 1) * EPOCH_S
    assert rest.duration_s == left_s + site.stopping.cost_s
    assert told(site)["stopped"] is True, "of the run before"


def test_the_next_run_counts_its_epochs_on_and_is_decided_on_no_more(site, decided):
    tick(site, GRACE_S)
    site.clock.at = CLEAN_AT
    site.adopt.run()
    site.slurm.begin(1)
    site.round()
    tell(site, 2, restarts=1, began_at=CLEAN_AT + 60)
    site.forecast(*DIRTY_FIRST)
    site.round()
    (known,) = site.ledger.jobs.open("lab")
    found = site.ledger.plans.prediction(known.job.key)
    assert found.samples == 2
    assert found.duration_s == 60 + 11 * EPOCH_S
    assert found.energy_j == pytest.approx(11 * 60_000 + 60 * 100, rel=0.01)
    assert site.ledger.pilots.of(known.job.key) is None
    assert len(site.slurm.signals) == 1, "it has not run its least time"
    site.clock.at += site.stopping.least_run_s
    site.round()
    assert len(site.slurm.signals) == 2, "as any other job"


def test_where_waiting_saves_too_little_it_goes_on_and_is_not_asked_again(site, caplog):
    caplog.set_level(logging.INFO)
    job = started(site, PILOT, [300] * 20)
    tell(site, 1)
    site.round()
    first = decision(site, job)
    assert (first.stopped, first.note) == (
        False,
        "stopping it, which costs 00:05:00 of running, would not save enough",
    )
    site.forecast(*DIRTY_FIRST)
    tick(site)
    assert decision(site, job) == first
    assert site.slurm.signals == [], "it is like any other now, and has not run its least time"
    site.clock.at = START + site.stopping.least_run_s
    site.round()
    assert site.slurm.signals == [(1, "USR1")]
    assert decision(site, job) == first
    line = f"job 1 of ada, a pilot, goes on after its first epoch: {first.note}"
    assert caplog.messages.count(line) == 1


@pytest.mark.parametrize(("cost_s", "stops"), [(0, True), (EPOCH_S, False)])
def test_the_cost_of_stopping_is_part_of_the_decision(site, cost_s, stops):
    """A tenth is saved of eleven epochs that are left, or nearly nothing where one more is run."""
    site = replace(site, stopping=replace(site.stopping, cost_s=cost_s))
    job = started(site, PILOT, [300] * 3 + [270] * 17)
    tell(site, 1)
    site.round()
    assert decision(site, job).stopped is stops
    assert len(site.slurm.signals) == stops


@pytest.mark.parametrize(
    ("asked", "fields", "note"),
    [
        (
            replace(PILOT, checkpoint=False),
            {},
            "it may not be stopped, which --carbon-checkpoint would allow",
        ),
        (replace(PILOT, max_delay_s=0), {}, "its delay and deadline leave it no time to wait"),
    ],
    ids=["no checkpoints", "no delay"],
)
def test_one_that_may_not_wait_goes_on_and_says_why(site, asked, fields, note):
    job = started(site, asked, **fields)
    tell(site, 1)
    site.round()
    assert site.slurm.signals == []
    assert decision(site, job).note == note


def test_without_a_forecast_it_goes_on_and_says_so(site):
    job = started(site, PILOT, ())
    tell(site, 1)
    site.round()
    assert decision(site, job).note == "there is no forecast to plan by"
    assert site.slurm.signals == []


def test_while_slurm_does_not_answer_nothing_is_decided(site):
    job = started(site)
    tell(site, 1)
    answer = site.slurm.standing

    def silent(_job_id):
        raise ClusterUnavailableError("scontrol gave no answer")

    site.slurm.standing = silent
    site.round()
    assert decision(site, job) is None
    site.slurm.standing = answer
    tick(site)
    assert decision(site, job).stopped is True
    assert site.slurm.signals == [(1, "USR1")]


def test_in_shadow_mode_none_is_stopped(make_site):
    site = make_site(shadow=True)
    job = started(site)
    tell(site, 1)
    site.round()
    assert site.slurm.signals == []
    assert decision(site, job).note == "no job is stopped in shadow mode"


def test_one_that_cannot_be_stopped_goes_on_for_slurms_reason(site):
    job = started(site)
    tell(site, 1)
    site.slurm.fixed.add(1)
    site.round()
    assert stop(site, job) is StopState.LEFT
    found = decision(site, job)
    assert (found.stopped, site.slurm.signals) == (False, [])
    assert "--no-requeue" in found.note


def test_a_stop_that_comes_to_nothing_is_not_told_as_one(site, decided):
    site.slurm.present[1] = replace(site.slurm.present[1], reason="JobHeldAdmin")
    tick(site, GRACE_S)
    assert stop(site, decided) is StopState.LEFT
    found = decision(site, decided)
    assert told(site) == {
        "decided_at": found.decided_at,
        "stopped": False,
        "note": "it is held (JobHeldAdmin)",
    }


def test_a_training_that_is_over_with_its_first_epoch_is_not_stopped(site):
    job = started(site)
    tell(site, 1, epochs=1)
    tick(site)
    assert site.slurm.signals == []
    assert decision(site, job).stopped is False


# Kills: another daemon finds the ledger as it is


class Killed(BaseException):
    """The process is gone."""


def killed(site, owner, method, *, before):
    """The daemon dies just before or after this; the next one on its ledger."""
    real = getattr(owner, method)

    def dies(*args, **kwargs):
        if not before:
            real(*args, **kwargs)
        raise Killed

    setattr(owner, method, dies)
    with pytest.raises(Killed):
        site.round()
    setattr(owner, method, real)
    return replace(site)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("moment", ["signal", "decision"])
def test_a_daemon_that_is_killed_between_decision_and_signal_decides_once(site, moment, before):
    job = started(site)
    tell(site, 1)
    owner, method = {
        "signal": (site.slurm, "signal"),
        "decision": (site.ledger.pilots, "save"),
    }[moment]
    again = killed(site, owner, method, before=before)
    tick(again)
    assert stop(again, job) is StopState.SIGNALLED
    found = decision(again, job)
    assert found.stopped is True
    tick(again, GRACE_S)
    tick(again)
    tick(again)
    assert site.slurm.requeues == [1]
    assert decision(again, job) == found
    assert site.slurm.moves[-1][:2] == (1, CLEAN_AT)
