"""What the cleanest start would weigh, beside what is planned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.job import JobKey
from carbonsched.model.plan import Reason
from carbonsched.planning import (
    Bounds,
    Busy,
    ClusterState,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    QuotaHold,
    plan,
)

from .making import HOUR, forecast, prediction

NOW, KWH = 1_700_000_100, 3_600_000
START = NOW // HOUR * HOUR
DIP = [400, 400, 400, 400, 100, 100, 400, 400]
GUESS = prediction(HOUR, KWH)


def planned(grams, *, slack_s=24 * HOUR, deferrable=True, cpus=100, busy=(), rank=None, **more):
    limits = Bounds(
        earliest_at=NOW - 60, latest_at=NOW + slack_s, deferrable=deferrable, why="a bound"
    )
    job = PlanningJob(
        key=JobKey(cluster="c", job_id=1, submitted_at=NOW - 60, restarts=0), cpus=1,
        **{"bounds": limits, "prediction": GUESS, **more},
    )  # fmt: skip
    state = ClusterState(
        name="c", cpus=cpus, pue_ppm=1_000_000, busy=tuple(busy),
        forecast=None if grams is None else forecast(grams, START),
        ranking=None if rank is None else forecast(rank, START),
    )  # fmt: skip
    request = PlanningRequest(
        now=NOW, parameters=PlanningParameters(), clusters=(state,), jobs=(job,)
    )  # fmt: skip
    (one,) = plan(request).plans
    return one


def test_with_room_the_plan_is_the_best():
    one = planned(DIP)
    assert one.expected_mg == one.best_mg == 100_000


def test_on_a_full_cluster_it_is_what_room_would_have_been_worth():
    one = planned(DIP, cpus=1, busy=[Busy(cpus=1, until_at=None)])
    assert (one.reason, one.expected_mg, one.best_mg) == (Reason.NO_ROOM, 400_000, 100_000)


@pytest.mark.parametrize("more", [{"slack_s": HOUR}, {"deferrable": False}])
def test_it_keeps_to_the_bounds(more):
    assert planned(DIP, **more).best_mg == 400_000


def test_it_is_by_the_forecast_and_not_by_what_hours_are_compared_with():
    one = planned(DIP, rank=[300, 100, 300, 300, 300, 300, 300, 300])
    assert one.start_at == START + HOUR
    assert (one.expected_mg, one.best_mg) == (400_000, 100_000)


def test_a_quota_is_no_bound_of_the_job():
    hold = QuotaHold(until_at=NOW + 90 * HOUR, text="used up")
    one = planned(DIP, quota=hold)
    assert (one.expected_mg, one.best_mg) == (None, 100_000)


@pytest.mark.parametrize(("grams", "more"), [(None, {}), ([400], {}), (DIP, {"prediction": None})])
def test_what_nothing_tells_is_not_known(grams, more):
    assert planned(grams, **more).best_mg is None


@given(
    st.lists(st.integers(0, 900), min_size=2, max_size=30),
    st.integers(0, 30 * HOUR),
    st.integers(60, 6 * HOUR),
    st.integers(0, 20),
    st.none() | st.integers(1, 30 * HOUR),
)
def test_it_is_never_more_than_planned_or_at_once(grams, slack_s, length_s, busy, standing_s):
    guess = GUESS.each(duration=lambda _: length_s)
    standing = None if standing_s is None else NOW + standing_s
    one = planned(
        grams, slack_s=slack_s, prediction=guess, cpus=1, planned_start_at=standing,
        busy=[Busy(cpus=1, until_at=NOW + busy * HOUR)] if busy else (),
    )  # fmt: skip
    assert (one.best_mg is None) == (one.baseline_mg is None)
    if one.best_mg is not None:
        assert one.best_mg <= one.baseline_mg
        assert one.expected_mg is None or one.best_mg <= one.expected_mg
