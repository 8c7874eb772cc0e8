"""Predictions, plans, quotas and jobs keep to what they promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.job import ACTIVE_STATES, PENDING_STATES, Job, JobKey
from carbonsched.model.plan import Plan, Reason
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.model.quota import Balance, Period, Subject

KEY = JobKey(cluster="lab", job_id=12, submitted_at=1000, restarts=0)
JOB = Job(
    key=KEY, uid=1001, user="ada", account="physics", partition="main", name="t", state="PENDING"
)
GUESS = Prediction(
    source=PredictionSource.LIMITS, samples=0, duration_s=60, duration_low_s=30,
    duration_p25_s=None, duration_p75_s=None, duration_high_s=90, energy_j=10, energy_low_j=5,
    energy_p25_j=None, energy_p75_j=None, energy_high_j=20, method="m", explanation="e",
)  # fmt: skip
PLAN = Plan(
    key=KEY, made_at=1000, start_at=5000, baseline_at=1000, latest_at=9000,
    reason=Reason.CLEANER, text="later", expected_mg=70, baseline_mg=100,
)  # fmt: skip


ENDS = ("_low", "_p25", "", "_p75", "_high")
DURATIONS = [f"duration{end}_s" for end in ENDS]
ENERGIES = [f"energy{end}_j" for end in ENDS]
QUARTILES = ("duration_p25_s", "duration_p75_s", "energy_p25_j", "energy_p75_j")
FIVE = st.lists(st.integers(-5, 100), min_size=5, max_size=5)
IN_ORDER = st.lists(st.integers(1, 10**6), min_size=5, max_size=5).map(sorted)


def figures(prediction, names):
    return [getattr(prediction, name) for name in names]


def fields(durations, energies):
    names = [*DURATIONS, *ENERGIES]
    return dict(zip(names, [*durations, *energies], strict=True))


@given(FIVE | IN_ORDER, FIVE | IN_ORDER)
def test_a_prediction_lies_within_its_intervals(durations, energies):
    in_order = durations == sorted(durations) and energies == sorted(energies)
    if in_order and durations[0] >= 1 and energies[0] >= 0:
        assert replace(GUESS, **fields(durations, energies))
    else:
        with pytest.raises(ValueError, match="outside its interval"):
            replace(GUESS, **fields(durations, energies))


@given(st.sets(st.sampled_from(QUARTILES)))
def test_a_prediction_has_all_quartiles_or_none(left_out):
    certain = Prediction.certain(PredictionSource.LIMITS, 60, 10, "m")
    if len(left_out) in (0, 4):
        assert replace(certain, **dict.fromkeys(left_out))
    else:
        with pytest.raises(ValueError, match="quartiles"):
            replace(certain, **dict.fromkeys(left_out))


@given(IN_ORDER, IN_ORDER, st.integers(1, 10**6), st.booleans())
def test_the_figures_of_a_prediction_change_together(durations, energies, duration_s, old):
    whole = replace(
        GUESS, **fields(durations, energies) | (dict.fromkeys(QUARTILES) if old else {})
    )
    twice = whole.each(energy=lambda one: 2 * one)
    assert figures(twice, DURATIONS) == figures(whole, DURATIONS)
    assert figures(twice, ENERGIES) == [one and 2 * one for one in figures(whole, ENERGIES)]
    moved = whole.about(duration_s)
    assert (moved.duration_s, moved.energy_j) == (duration_s, whole.energy_j)
    assert moved.duration_low_s == min(whole.duration_low_s, duration_s)
    assert moved.duration_high_s == max(whole.duration_high_s, duration_s)
    assert old == (moved.duration_p25_s is None)


def test_a_plan_says_what_it_saves_where_that_is_known():
    assert (PLAN.deferred, PLAN.saved_mg) == (True, 30)
    assert replace(PLAN, expected_mg=130).saved_mg == -30
    assert replace(PLAN, baseline_mg=None).saved_mg is None
    assert replace(PLAN, expected_mg=None).saved_mg is None
    assert not replace(PLAN, start_at=1000).deferred


def test_of_a_shadow_only_the_start_that_could_have_been_is_carried_out():
    shadow = replace(PLAN, shadow=True).carried_out
    assert (shadow.start_at, shadow.expected_mg, shadow.saved_mg) == (1000, 100, 0)
    assert (shadow.reason, shadow.deferred) == (Reason.SHADOW, False)
    at_once = replace(PLAN, shadow=True, start_at=1000, reason=Reason.GAIN_TOO_SMALL)
    for plan in (PLAN, at_once):
        assert plan.carried_out is plan


@given(*[st.integers(-(10**12), 10**12)] * 4)
def test_what_remains_is_budget_and_grants_less_charges_and_reservations(a, b, c, d):
    period = Period(name="2026-11", start_at=0, end_at=1)
    balance = Balance(
        subject=Subject(kind="user", name="ada"), period=period, budget_mg=a, granted_mg=b,
        charged_mg=c, reserved_mg=d,
    )  # fmt: skip
    assert balance.remaining_mg == a + b - c - d
    assert str(balance.subject) == "user:ada"


def test_a_period_has_a_length():
    with pytest.raises(ValueError, match="ends after"):
        Period(name="x", start_at=5, end_at=5)


@pytest.mark.parametrize("state", sorted(PENDING_STATES | ACTIVE_STATES | {"COMPLETED", "FAILED"}))
def test_a_job_is_pending_active_or_ended(state):
    job = replace(JOB, state=state)
    assert [job.pending, job.active, job.ended].count(True) == 1


def test_a_run_that_a_requeue_ended_has_ended():
    assert replace(JOB, state="REQUEUED", started_at=1000, ended_at=1100).ended
    assert replace(JOB, state="REQUEUED").pending


def test_keys_and_ids_as_people_see_them():
    assert str(KEY) == "lab/12@1000"
    assert str(replace(KEY, restarts=2)) == "lab/12+2@1000"
    assert JOB.shown_id == "12"
    assert replace(JOB, array_job_id=9, array_task="[4-9]").shown_id == "9_[4-9]"


def test_a_job_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"lab/12@1000 ends before"):
        replace(JOB, started_at=1000, ended_at=999)
    with pytest.raises(ValueError, match="0 tasks"):
        replace(JOB, tasks=0)
