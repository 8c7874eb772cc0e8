"""Plans as they were thought: what counted, and what was only kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.model.job import Job, JobKey
from carbonsched.model.plan import Plan, Reason
from carbonsched.model.prediction import Prediction, PredictionSource

KEY = JobKey(cluster="lab", job_id=12, submitted_at=1000, restarts=0)
PLAN = Plan(
    key=KEY, made_at=1000, start_at=5000, baseline_at=1000, latest_at=9000,
    reason=Reason.CLEANER, text="later", expected_mg=70, baseline_mg=100,
)  # fmt: skip
JOB = Job(
    key=KEY, uid=1001, user="ada", account="physics", partition="main", name="t", state="RUNNING",
    started_at=1500,
)  # fmt: skip


PREDICTION = Prediction(
    source=PredictionSource.HISTORY, samples=3, duration_s=300, duration_low_s=100,
    duration_p25_s=200, duration_p75_s=400, duration_high_s=500, energy_j=30, energy_low_j=10,
    energy_p25_j=20, energy_p75_j=40, energy_high_j=50, method="m", explanation="e",
)  # fmt: skip


@pytest.fixture
def plans(ledger):
    return ledger.plans


def test_a_prediction_comes_back_with_both_intervals_and_is_kept_once(plans):
    assert plans.add_prediction(KEY, PREDICTION, 1000)
    assert plans.prediction(KEY) == PREDICTION
    assert not plans.add_prediction(KEY, PREDICTION, 1100)
    assert plans.add_prediction(KEY, replace(PREDICTION, duration_p75_s=401), 1200)


def test_a_plan_comes_back_as_it_was(plans):
    shadow = replace(PLAN, shadow=True, best_mg=60)
    assert plans.add_plan(shadow)
    assert plans.plan(KEY) == shadow


def test_the_same_plan_in_the_other_mode_is_another(plans):
    shadow = replace(PLAN, shadow=True)
    assert [plans.add_plan(one) for one in (shadow, shadow, PLAN, PLAN)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert plans.deferral(KEY) == plans.first_plan(KEY) == PLAN
    assert plans.deferral(KEY, shadow=True) == shadow


def test_a_shadow_is_no_deferral_and_no_baseline(plans):
    plans.add_plan(replace(PLAN, shadow=True))
    assert plans.deferral(KEY) is None
    assert plans.first_plan(KEY) is None


def test_waiting_for_ones_turn_is_a_deferral_and_a_quotas_hold_is_none(plans):
    turn = replace(PLAN, reason=Reason.NO_ROOM)
    plans.add_plan(turn)
    assert plans.deferral(KEY) == turn
    plans.add_plan(replace(PLAN, reason=Reason.QUOTA, start_at=8000))
    assert plans.deferral(KEY) == turn


def test_the_last_plan_of_a_task_is_its_own_or_its_arrays_until_it_started(plans):
    task = replace(JOB, key=replace(KEY, job_id=13), array_job_id=12, array_task="1")
    assert plans.last_of(task) is None
    late = replace(PLAN, made_at=1600, start_at=7000)
    plans.add_plan(late)
    assert plans.last_of(task) == late, "made a moment after it started"
    assert plans.last_of(replace(task, key=replace(task.key, restarts=1))) == late
    early = replace(PLAN, key=replace(KEY, submitted_at=1001))
    plans.add_plan(early)
    plans.add_plan(replace(early, made_at=1600, start_at=7000))
    assert plans.last_of(replace(task, key=replace(task.key, submitted_at=1001))) == early
    own = replace(PLAN, key=task.key, start_at=6000)
    plans.add_plan(own)
    assert plans.last_of(task) == own
    assert plans.last_of(JOB) == late
