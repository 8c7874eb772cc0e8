"""Several clusters, several users, and more work than there is room for in the clean hours."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.model.job import JobKey
from carbonsched.model.plan import Reason
from carbonsched.model.spread import Spread
from carbonsched.planning import (
    Bounds,
    ClusterState,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    Reserved,
    plan,
)

from .making import HOUR, forecast, prediction

START = 1_700_006_400
WATTS = 1000.0
NIGHT = [400] * 6 + [100] * 2 + [400] * 16


def cluster(name, grams, cpus=8, **more):
    known = None if grams is None else forecast(grams, START)
    return ClusterState(name=name, cpus=cpus, pue_ppm=1_000_000, forecast=known, **more)


def job(number, *, cpus=1, hours=1.0, user="ada", slack_h=20, **more):
    seconds = round(hours * HOUR)
    energy_j = round(WATTS * seconds)
    return PlanningJob(
        key=JobKey(cluster="here", job_id=number, submitted_at=START, restarts=0),
        cpus=cpus,
        user=user,
        bounds=Bounds(
            earliest_at=START, latest_at=START + slack_h * HOUR, deferrable=True, why="it"
        ),
        prediction=prediction(seconds, energy_j),
        **more,
    )


def anywhere(number, **more):
    one = job(number, **more)
    there = replace(one.places[0], cluster="there")
    return replace(one, elsewhere=(there,))


def planned(jobs, *clusters, **more):
    asked = PlanningRequest(
        now=START, parameters=PlanningParameters(), clusters=clusters, jobs=tuple(jobs), **more
    )
    return plan(asked)


def test_a_job_goes_to_the_cluster_where_it_emits_least():
    clusters = (cluster("here", [400] * 24), cluster("there", [100] * 24))
    (one,) = planned([anywhere(1)], *clusters).plans
    assert (one.cluster, one.start_at, one.reason) == ("there", START, Reason.CLEANER)
    assert (one.expected_mg, one.baseline_mg) == (100_000, 400_000)
    (bound,) = planned([job(1)], *clusters).plans
    assert bound.cluster == "here"


def test_power_on_each_cluster_counts_as_its_grid_does():
    hungry = replace(anywhere(1).elsewhere[0], watts=5 * WATTS)
    clusters = (cluster("here", [400] * 24), cluster("there", [100] * 24))
    (one,) = planned([replace(job(1), elsewhere=(hungry,))], *clusters).plans
    assert one.cluster == "here"


def test_what_has_no_room_on_the_clean_cluster_takes_the_other():
    clusters = (cluster("here", [400] * 24), cluster("there", [100] * 24, cpus=2))
    jobs = [anywhere(n, hours=12, slack_h=4) for n in range(6)]
    where = Counter(one.cluster for one in planned(jobs, *clusters).plans)
    assert where == {"there": 2, "here": 4}


def test_a_cluster_without_a_forecast_is_no_clean_one():
    clusters = (cluster("here", [400] * 24), cluster("there", None))
    (one,) = planned([anywhere(1)], *clusters).plans
    assert (one.cluster, one.reason) == ("here", Reason.GAIN_TOO_SMALL)


def test_users_share_the_clean_hours_whoever_has_more_jobs():
    jobs = [job(n) for n in range(20)] + [job(100 + n, user="bob") for n in range(4)]
    plans = planned(jobs, cluster("here", NIGHT, cpus=4)).plans
    clean = [one for one in plans if one.start_at // HOUR - START // HOUR in (6, 7)]
    users = Counter("bob" if one.key.job_id >= 100 else "ada" for one in clean)
    assert users == {"ada": 4, "bob": 4}


def test_nothing_is_planned_on_cpus_that_are_reserved():
    away = Reserved(cpus=8, start_at=START + 5 * HOUR, end_at=START + 7 * HOUR)
    (one,) = planned([job(1)], cluster("here", NIGHT, reserved=(away,))).plans
    assert one.start_at == START + 7 * HOUR


def test_run_times_that_may_be_long_are_weighed_in_all_the_hours_they_may_reach():
    """A sure hour fits into the dip; what may as well take nine hours gains less by it."""
    risky = job(1, length=Spread((1.0 * HOUR, 9.0 * HOUR), (1.0, 1.0)))
    clusters = (cluster("here", NIGHT),)
    (sure,) = planned([job(1)], *clusters).plans
    (unsure,) = planned([risky], *clusters).plans
    assert sure.saved_mg == 300_000
    assert 0 < unsure.saved_mg < 150_000


def test_prices_hold_for_half_an_hour_and_the_next_begin_with_them():
    jobs = [job(n, hours=2) for n in range(30)]
    first = planned(jobs, cluster("here", NIGHT, cpus=4))
    assert first.prices.by_cluster["here"].max() > 0
    again = planned(jobs, cluster("here", NIGHT, cpus=4), before=first.prices)
    assert again.prices is first.prices


crowds = st.lists(
    st.builds(
        job,
        st.just(0),
        cpus=st.integers(1, 6),
        hours=st.floats(0.1, 10),
        user=st.sampled_from(["ada", "bob"]),
        slack_h=st.integers(1, 24),
    ),
    min_size=1,
    max_size=14,
)


@given(crowds, st.sampled_from([[400] * 24, NIGHT, list(reversed(NIGHT))]))
@settings(max_examples=60)
def test_what_is_released_by_choice_fits_beside_what_was_before(jobs, grams):
    """So Slurm's backfill is not flooded; who is pressed or gains nothing queues anyway."""
    numbered = [replace(one, key=replace(one.key, job_id=n)) for n, one in enumerate(jobs)]
    plans = planned(numbered, cluster("here", grams)).plans
    now = [one for one in plans if one.start_at == START and one.reason is Reason.CLEANER]
    assert sum(numbered[one.key.job_id].cpus for one in now) <= 8


@given(crowds)
@settings(max_examples=40)
def test_on_a_flat_grid_nobody_is_put_off(jobs):
    numbered = [replace(one, key=replace(one.key, job_id=n)) for n, one in enumerate(jobs)]
    for one in planned(numbered, cluster("here", [300] * 48, cpus=100)).plans:
        assert one.start_at == START


@pytest.mark.parametrize("grams", [NIGHT, [400] * 12 + [50] * 12])
def test_a_job_that_is_always_passed_over_is_let_in_before_its_latest_start(grams):
    """At each tick larger ones come; the small one's latest start does not wait for them."""
    small = job(0, slack_h=6)
    for tick in range(0, 6 * HOUR, 900):
        others = [job(1 + n, cpus=8, hours=3, slack_h=24) for n in range(1 + tick // 900)]
        asked = PlanningRequest(
            now=START + tick,
            parameters=PlanningParameters(),
            clusters=(cluster("here", grams * 2),),
            jobs=(small, *others),
        )
        mine = next(one for one in plan(asked).plans if one.key == small.key)
        assert mine.start_at <= START + 6 * HOUR
        if mine.start_at <= asked.now:
            return
    pytest.fail("it never went to the queue")
