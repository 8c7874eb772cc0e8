"""What is left of a job that was stopped: when it goes on, as how much it counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.model.spread import Spread
from carbonsched.model.stop import StopState
from carbonsched.planning import DelayPolicy
from carbonsched.services.learning import Learning
from carbonsched.services.pieces import Pieces

from .stopping import (
    CLEAN_AT,
    COST_S,
    GRACE_S,
    HILL,
    HOUR,
    ROOT,
    SLURMS_DELAY_S,
    SPLIT,
    START,
    running,
    tick,
)


def test_what_is_left_waits_for_the_clean_window(site, requeued):
    job, start_at, note = site.slurm.moves[-1]
    assert (job, start_at) == (1, CLEAN_AT)
    assert "less" in note
    plan = site.ledger.plans.plan(requeued.job.key)
    assert plan.saved_mg > 0
    assert plan.baseline_at == requeued.job.key.submitted_at + SLURMS_DELAY_S


def test_its_delay_counts_from_the_first_submission_less_what_it_has_run(site, requeued):
    plan = site.ledger.plans.plan(requeued.job.key)
    done_s = HOUR
    assert plan.latest_at == START + SPLIT.max_delay_s + done_s - COST_S


def test_its_deadline_counts_what_is_left_of_its_limit(site):
    deadline_at = START + 14 * HOUR
    running(site, replace(SPLIT, deadline_at=deadline_at, max_delay_s=2 * 86_400))
    for after_s in (0, GRACE_S, 60):
        tick(site, after_s)
    (known,) = site.ledger.jobs.open("lab")
    assert site.ledger.plans.plan(known.job.key).latest_at == deadline_at - (5 * HOUR + COST_S)


def test_it_is_predicted_and_reserved_as_what_is_left_and_the_stop(make_site):
    site = make_site(ada=10_000_000)
    job = running(site)
    whole = site.ledger.plans.prediction(job.key)
    for after_s in (0, GRACE_S, 60):
        tick(site, after_s)
    (known,) = site.ledger.jobs.open("lab")
    rest = site.ledger.plans.prediction(known.job.key)
    found = site.ledger.stops.of(job.key)
    assert rest.duration_s == found.left_s + COST_S
    assert rest.energy_j / rest.duration_s == pytest.approx(
        whole.energy_j / whole.duration_s, rel=1e-3
    )
    plan = site.ledger.plans.plan(known.job.key)
    tick(site, HOUR)  # the first run has ended, and nothing of it is awaited any more
    assert not any(mg for mg, _ in site.ledger.entries.reserved(job.key).values())
    ((reserved_mg, _),) = site.ledger.entries.reserved(known.job.key).values()
    assert reserved_mg == pytest.approx(plan.expected_mg, rel=0.02)


def test_what_its_epochs_say_is_left_holds_for_the_next_run(site):
    job = running(site)
    epochs = [
        EpochRecord(
            cluster="lab", node="n1", job_id=1, restarts=0, uid=1001, epoch=number, epochs=10,
            started_ms=(START + (number - 1) * 600) * 1000, duration_ms=600_000,
            energy_millij=1_000_000, relative_sd=None, samples=0, quality=Quality.MODELLED,
        ).to_wire()
        for number in range(1, 7)
    ]  # fmt: skip
    site.take.take(ROOT, [], epochs)
    for after_s in (0, GRACE_S, 60):
        tick(site, after_s)
    (known,) = site.ledger.jobs.open("lab")
    left_s = 4 * 600
    assert site.ledger.stops.of(job.key).left_s == left_s
    pieces = Pieces(
        site.ledger, Learning(site.clusters, site.ledger), DelayPolicy(
            default_max_delay_s=0, max_delay_s=7 * 86_400
        ), site.stopping,
    )  # fmt: skip
    assert pieces.length(known.job, site.clock.at) == Spread.exactly(left_s + COST_S)
    assert site.ledger.plans.prediction(known.job.key).duration_s == left_s + COST_S


def test_a_budget_that_has_let_a_job_in_does_not_hold_what_is_left_of_it(make_site):
    site = make_site(ada=10_000_000)
    running(site)
    for after_s in (0, GRACE_S):
        tick(site, after_s)
    site = replace(site, budgets={"ada": 1})
    tick(site)
    (known,) = site.ledger.jobs.open("lab")
    assert site.ledger.plans.plan(known.job.key).reason == "cleaner"


def test_a_job_without_slack_left_starts_as_soon_as_slurm_lets_it(site, signalled):
    tick(site, GRACE_S)
    site.clock.at = START + SPLIT.max_delay_s + HOUR
    site.slurm.present[1] = replace(
        site.slurm.present[1], eligible_at=site.clock.at + SLURMS_DELAY_S
    )
    site.round()
    (known,) = site.ledger.jobs.open("lab")
    plan = site.ledger.plans.plan(known.job.key)
    assert not plan.deferred
    assert plan.start_at == site.clock.at + SLURMS_DELAY_S
    assert [move for move in site.slurm.moves if move[1] > START] == []


def test_a_second_stop_counts_both_runs(site, requeued):
    site.clock.at = CLEAN_AT
    site.slurm.begin(1)
    site.round()
    site.clock.at = CLEAN_AT + 2 * HOUR
    site.forecast(*HILL)
    site.round()
    second = site.ledger.stops.of(requeued.job.key)
    assert second.state is StopState.SIGNALLED
    assert second.first_submitted_at == START
    assert second.done_s == HOUR + 2 * HOUR - COST_S


def test_what_is_learnt_of_a_job_in_pieces_is_its_whole_length(site, requeued):
    site.clock.at = CLEAN_AT
    site.slurm.begin(1)
    site.adopt.run()
    site.clock.at += 2 * HOUR
    site.slurm.end(1)
    site.adopt.run()
    (run,) = site.ledger.jobs.ended("lab", 0, 10)
    assert (run.key.restarts, run.ran_s) == (1, 3 * HOUR)
    (run,) = site.ledger.jobs.completed("ada", 0)
    assert (run.job.key.restarts, run.done_s) == (1, HOUR)


def test_a_run_that_ended_to_go_on_teaches_nothing(site, signalled):
    site.slurm.end(1, "FAILED", 75)
    site.adopt.run()
    assert site.ledger.jobs.ended("lab", 0, 10) == []
