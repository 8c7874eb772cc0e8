from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.model.intensity import Forecast, Point, SeriesInfo
from carbonsched.model.job import JobKey
from carbonsched.model.plan import Reason
from carbonsched.model.prediction import Prediction
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
from carbonsched.planning.series import Cumulative

from . import making
from .making import HOUR

NOW = 1_700_000_100  # 300 s before a quarter of an hour
START = NOW // HOUR * HOUR
KWH = 3_600_000


def prediction(duration_s: int = HOUR, energy_j: int = KWH) -> Prediction:
    return making.prediction(duration_s, energy_j)


def forecast(grams: list[int], start_at: int = START) -> Forecast:
    return making.forecast(grams, start_at)


def job(number: int = 1, *, slack_s: int = 24 * HOUR, cpus: int = 1, **more) -> PlanningJob:
    limits = Bounds(earliest_at=NOW - 60, latest_at=NOW + slack_s, deferrable=True, why="the bound")
    values = {"bounds": limits, "prediction": prediction(), **more}
    key = JobKey(cluster="c", job_id=number, submitted_at=NOW - 60, restarts=0)
    return PlanningJob(key=key, cpus=cpus, **values)


def request(
    jobs: list[PlanningJob], grams: list[int] | None, *, cpus: int = 100, busy=(), **parameters
) -> PlanningRequest:
    state = ClusterState(
        name="c",
        cpus=cpus,
        pue_ppm=1_000_000,
        forecast=None if grams is None else forecast(grams),
        busy=tuple(busy),
    )
    return PlanningRequest(
        now=NOW,
        parameters=PlanningParameters(**parameters),
        clusters=(state,),
        jobs=tuple(jobs),
    )


def only(jobs: list[PlanningJob], grams: list[int] | None, **more):
    (one,) = plan(request(jobs, grams, **more)).plans
    return one


DIP = [400, 400, 400, 400, 100, 100, 400, 400]


def test_starts_in_the_cleanest_window_and_says_so():
    one = only([job()], DIP)
    assert (one.start_at, one.reason) == (START + 4 * HOUR, Reason.CLEANER)
    assert (one.expected_mg, one.baseline_mg, one.saved_mg) == (100_000, 400_000, 300_000)
    assert one.deferred
    assert one.provider == "test"
    assert one.forecast_issued_at == START
    hours, minutes = divmod((one.start_at - NOW) // 60, 60)
    assert one.text == (
        f"starts in {hours} h {minutes} min: 100 g instead of 400 g if started now (75 % less)"
    )


def test_pue_is_in_the_masses():
    asked = request([job()], DIP)
    dear = replace(asked, clusters=(replace(asked.clusters[0], pue_ppm=1_500_000),))
    assert plan(dear).plans[0].expected_mg == 150_000


@pytest.mark.parametrize(
    ("grams", "more", "reason"),
    [
        (None, {}, Reason.NO_FORECAST),
        ([], {}, Reason.FORECAST_TOO_SHORT),
        ([400], {}, Reason.FORECAST_TOO_SHORT),
        ([400] * 24, {}, Reason.GAIN_TOO_SMALL),
        ([400, 400, 395, 395, 400], {}, Reason.GAIN_TOO_SMALL),
        (DIP, {"minimum_gain_mg": 300_001}, Reason.GAIN_TOO_SMALL),
        (DIP, {"minimum_gain_pct": 75.1}, Reason.GAIN_TOO_SMALL),
        (DIP, {"cpus": 1, "busy": [Busy(cpus=1, until_at=None)]}, Reason.NO_ROOM),
        (DIP, {"cpus": 0}, Reason.NO_ROOM),
    ],
)
def test_starts_now_and_says_why(grams, more, reason):
    one = only([job()], grams, **more)
    assert (one.start_at, one.reason, one.deferred) == (NOW, reason, False)
    assert one.text.startswith("starts now: ")


def test_a_gain_that_reaches_both_minima_exactly_is_enough():
    one = only([job()], DIP, minimum_gain_mg=300_000, minimum_gain_pct=75)
    assert one.reason is Reason.CLEANER


def test_jobs_that_nothing_is_known_of_or_that_use_nothing_start_now():
    assert only([job(prediction=None)], DIP).reason is Reason.NOT_DEFERRABLE
    assert only([job(prediction=prediction(energy_j=0))], DIP).reason is Reason.GAIN_TOO_SMALL


def test_hours_at_zero_are_the_cleanest_and_no_reason_to_wait_where_it_is_zero_now():
    one = only([job()], [400, 400, 0, 400])
    assert (one.start_at, one.expected_mg) == (START + 2 * HOUR, 0)
    assert one.text.endswith(": 0 mg instead of 400 g if started now (100 % less)")
    assert only([job()], [0, 0, 0, 400]).reason is Reason.GAIN_TOO_SMALL


def with_forecast(asked, points):
    (cluster,) = asked.clusters
    changed = replace(cluster.forecast, points=tuple(points))
    return replace(asked, clusters=(replace(cluster, forecast=changed),))


def test_a_gap_of_more_than_an_hour_in_the_forecast_ends_what_is_known():
    asked = request([job()], DIP)
    points = asked.clusters[0].forecast.points
    (one,) = plan(with_forecast(asked, points[:2] + points[4:])).plans
    assert one.reason is Reason.GAIN_TOO_SMALL


def test_a_row_that_is_missing_does_not_end_it():
    asked = request([job()], DIP)
    points = asked.clusters[0].forecast.points
    (one,) = plan(with_forecast(asked, points[:3] + points[4:])).plans
    assert (one.start_at, one.expected_mg, one.baseline_mg) == (START + 4 * HOUR, 100_000, 400_000)


@pytest.mark.parametrize("missing", [NOW + HOUR - NOW % 300, NOW - NOW % 300])
def test_five_minutes_that_are_missing_do_not_end_thirty_hours(missing):
    first = NOW - NOW % 300 - 300
    points = [
        Point(at, at + 300, 100_000 if at > NOW + 20 * HOUR else 400_000)
        for at in range(first, first + 30 * HOUR, 300)
        if at != missing
    ]
    (one,) = plan(with_forecast(request([job()], DIP), points)).plans
    assert one.reason is Reason.CLEANER
    assert one.expected_mg == 100_000


def test_a_gap_has_the_mean_of_its_neighbours():
    points = [Point(START, START + HOUR, 400_000), Point(START + 2 * HOUR, START + 3 * HOUR, 0)]
    known = Cumulative(replace(forecast([]), points=tuple(points)), START)
    assert known.end_at == START + 3 * HOUR
    hours = np.arange(START, known.end_at, HOUR)
    assert list(known.windows(hours, HOUR) // HOUR) == [400_000, 200_000, 0]


@pytest.mark.parametrize(("late_s", "holds"), [(300, True), (HOUR, True), (HOUR + 1, False)])
def test_a_forecast_that_begins_a_little_later_holds_from_now(late_s, holds):
    begins = START + late_s
    points = (Point(begins, begins + HOUR, 7),)
    known = Cumulative(replace(forecast([]), points=points), START)
    assert known.covers(START, begins + HOUR) == holds
    assert not holds or int(known.windows(np.array([START]), late_s)[0]) == 7 * late_s


def test_own_begin_time_is_the_earliest_and_the_baseline():
    late = Bounds(
        earliest_at=NOW + 2 * HOUR, latest_at=NOW + 24 * HOUR, deferrable=True, why="the bound"
    )
    one = only([job(bounds=late)], DIP)
    assert (one.baseline_at, one.start_at) == (NOW + 2 * HOUR, START + 4 * HOUR)
    assert "if started in 2 h, its own begin time" in one.text
    fixed = replace(late, deferrable=False, latest_at=late.earliest_at)
    two = only([job(bounds=fixed)], DIP)
    assert (two.start_at, two.reason) == (NOW + 2 * HOUR, Reason.USER_BEGIN)


def test_quota_holds_until_its_time_whatever_the_bounds():
    held = job(quota=QuotaHold(until_at=NOW + 99 * HOUR, text="the budget is used up"), slack_s=60)
    one = only([held], DIP)
    assert (one.start_at, one.reason) == (NOW + 99 * HOUR, Reason.QUOTA)
    assert one.latest_at >= one.start_at
    assert "the budget is used up" in one.text
    over = job(quota=QuotaHold(until_at=NOW, text="over"), slack_s=60)
    assert only([over], DIP).start_at == NOW


def test_standing_deferral_is_kept_unless_another_window_gains_enough():
    standing = START + 4 * HOUR
    grams = [400, 400, 400, 400, 100, 99, 400, 400]
    assert only([job(planned_start_at=standing)], grams).start_at == standing
    better = [400, 400, 400, 400, 100, 50, 400, 400]
    assert only([job(planned_start_at=standing)], better).start_at == START + 5 * HOUR
    worse = [100, 100, 400, 400, 400, 400, 400, 400]
    assert only([job(planned_start_at=standing)], worse).start_at == NOW


def test_a_standing_start_outside_the_bounds_is_not_kept():
    one = only([job(planned_start_at=START + 7 * HOUR, slack_s=6 * HOUR)], DIP)
    assert one.start_at == START + 4 * HOUR


def test_a_deferred_job_whose_time_has_come_starts():
    one = only([job(planned_start_at=NOW - 1)], DIP)
    assert (one.start_at, one.reason) == (NOW, Reason.CLEANER)


def test_the_least_slack_takes_the_room_first():
    tight, loose = job(2, slack_s=6 * HOUR), job(1, slack_s=9 * HOUR)
    grams = [400, 400, 400, 400, 100, 200, 400, 400]
    found = plan(request([loose, tight], grams, cpus=1)).plans
    plans = {one.key.job_id: one.start_at for one in found}
    assert plans == {2: START + 4 * HOUR, 1: START + 5 * HOUR}


def test_running_jobs_take_room_until_they_end():
    busy = [Busy(cpus=1, until_at=START + 5 * HOUR)]
    assert only([job()], DIP, cpus=1, busy=busy).start_at == START + 5 * HOUR


def test_jobs_on_clusters_that_are_not_described_or_twice_are_refused():
    with pytest.raises(ValueError, match="appears twice"):
        request([job(), job()], DIP)
    stranger = replace(job(), key=replace(job().key, cluster="elsewhere"))
    with pytest.raises(ValueError, match="elsewhere"):
        request([stranger], DIP)


def test_each_cluster_has_its_own_grid_and_room():
    asked = request([job()], DIP)
    other = replace(job(), key=replace(job().key, cluster="d"))
    flat = replace(asked.clusters[0], name="d", forecast=forecast([300] * 8))
    both = replace(asked, clusters=(*asked.clusters, flat), jobs=(*asked.jobs, other))
    assert [one.reason for one in plan(both).plans] == [Reason.CLEANER, Reason.GAIN_TOO_SMALL]


grams_lists = st.lists(st.integers(0, 900), min_size=0, max_size=40)


@st.composite
def requests(draw):
    count = draw(st.integers(1, 8))
    jobs = []
    for number in range(count):
        earliest_at = NOW + draw(st.integers(-HOUR, 6 * HOUR))
        slack_s = draw(st.integers(0, 30 * HOUR))
        limits = Bounds(
            earliest_at=earliest_at,
            latest_at=earliest_at + slack_s,
            deferrable=draw(st.booleans()) or slack_s > HOUR,
            why="the bound",
        )
        planned = draw(st.none() | st.integers(NOW - HOUR, NOW + 30 * HOUR))
        known = draw(
            st.none() | st.builds(prediction, st.integers(1, 12 * HOUR), st.integers(0, 50 * KWH))
        )
        jobs.append(
            job(
                number,
                cpus=draw(st.integers(0, 6)),
                bounds=limits,
                planned_start_at=planned,
                prediction=known,
            )
        )
    busy = draw(
        st.lists(
            st.builds(
                Busy, cpus=st.integers(0, 4), until_at=st.none() | st.integers(NOW, NOW + 9 * HOUR)
            ),
            max_size=3,
        )
    )
    return request(
        jobs,
        draw(st.none() | grams_lists),
        cpus=draw(st.integers(0, 12)),
        busy=busy,
        slot_s=draw(st.sampled_from([60, 900, 1000, HOUR])),
        minimum_gain_pct=draw(st.sampled_from([0, 5, 30])),
        minimum_gain_mg=draw(st.sampled_from([0, 1000])),
    )


@given(requests())
@settings(max_examples=120)
def test_bounds_hold_and_nothing_is_worse_than_now(asked):
    jobs = sorted(asked.jobs, key=lambda one: one.key)
    for one, waiting in zip(plan(asked).plans, jobs, strict=True):
        floor_at = waiting.floor_at(NOW)
        assert one.key == waiting.key
        assert floor_at <= one.start_at <= max(floor_at, waiting.bounds.latest_at)
        assert one.start_at <= one.latest_at
        if not waiting.bounds.deferrable:
            assert one.start_at == floor_at
        if one.reason is Reason.NO_ROOM:
            continue  # in time comes before clean
        assert one.saved_mg is None or one.saved_mg >= 0
        if one.deferred:
            assert one.reason is Reason.CLEANER
            assert one.expected_mg is not None


@given(requests(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_same_request_same_plans_in_any_order(asked, chance):
    jobs = list(asked.jobs)
    chance.shuffle(jobs)
    assert plan(asked).plans == plan(asked).plans == plan(replace(asked, jobs=tuple(jobs))).plans


@given(requests())
@settings(max_examples=60)
def test_deferred_jobs_never_exceed_what_running_ones_leave(asked):
    slot_s = asked.parameters.slot_s
    jobs = {one.key: one for one in asked.jobs}
    used: Counter[int] = Counter()
    for one in plan(asked).plans:
        if one.deferred and one.reason is Reason.CLEANER:
            waiting = jobs[one.key]
            end_at = one.start_at + waiting.prediction.duration_s
            for slot in range(one.start_at // slot_s, -(-end_at // slot_s)):
                used[slot] += waiting.cpus
    state = asked.clusters[0]
    for slot, cpus in used.items():
        running = sum(
            busy.cpus
            for busy in state.busy
            if busy.until_at is None or busy.until_at > slot * slot_s
        )
        assert cpus == 0 or cpus <= state.cpus - running


@given(grams_lists, st.integers(1, 10 * HOUR), st.integers(0, 20 * HOUR), st.integers(0, 9 * HOUR))
@settings(max_examples=80)
def test_more_slack_never_costs_more(grams, duration_s, slack_s, more_s):
    known = prediction(duration_s, 10 * KWH)
    tight = only([job(slack_s=slack_s, prediction=known)], grams)
    loose = only([job(slack_s=slack_s + more_s, prediction=known)], grams)
    if tight.expected_mg is not None:
        assert loose.expected_mg <= tight.expected_mg


@given(requests())
@settings(max_examples=40)
def test_without_a_forecast_everything_starts_as_soon_as_it_may(asked):
    blind = replace(asked, clusters=(replace(asked.clusters[0], forecast=None),))
    for one in plan(blind).plans:
        assert one.start_at == one.baseline_at
        assert one.expected_mg is None


@given(grams_lists, st.integers(1, 6 * HOUR), st.integers(0, 20 * HOUR))
@settings(max_examples=60)
def test_one_job_gets_the_best_slot_that_a_plain_search_finds(grams, duration_s, slack_s):
    one = only(
        [job(slack_s=slack_s, prediction=prediction(duration_s, 10**9))],
        grams,
        minimum_gain_pct=0,
    )
    again = grams[-24:] if len(grams) > 24 else []  # another day like the last is taken to follow
    steps = forecast(grams + again).steps
    last_at = NOW + slack_s - min(int(5400 * 1.02), (slack_s + 60) // 4)  # on 1 of 100 CPUs
    starts = [NOW, *range((NOW // 900 + 1) * 900, last_at + 1, 900)]
    costs = [(steps.mean(at, at + duration_s), at) for at in starts]
    known = [(mean, at) for mean, at in costs if mean is not None]
    if costs[0][0] is None:
        assert one.start_at == NOW
    else:
        assert one.start_at == min(known)[1]


def test_five_thousand_jobs_over_four_days_are_all_planned():
    grams = [100 + (37 * i) % 400 for i in range(97)]
    jobs = [
        job(i, slack_s=60 * i, cpus=1 + i % 64, prediction=prediction(600 + 7 * i))
        for i in range(5000)
    ]
    asked = request(jobs, grams, cpus=20_000)
    found = plan(asked).plans
    assert [one.key for one in found] == [one.key for one in jobs]
    assert all(NOW <= one.start_at <= one.latest_at for one in found)


def ranked(jobs, grams, marginal):
    asked = request(jobs, grams)
    signal = replace(
        forecast(marginal), info=SeriesInfo(provider="other", zone="DE", kind="marginal")
    )
    state = replace(asked.clusters[0], ranking=signal)
    return replace(asked, clusters=(state,))


def test_hours_are_compared_by_the_ranking_and_grams_are_the_forecasts():
    grams = [300, 200, 400] + [300] * 9
    (one,) = plan(ranked([job(slack_s=6 * HOUR)], grams, [9, 9, 3] + [9] * 9)).plans
    assert one.start_at == START + 2 * HOUR
    assert one.reason is Reason.CLEANER
    assert (one.expected_mg, one.provider) == (400_000, "test")
    assert one.baseline_mg is not None
    assert one.baseline_mg < one.expected_mg
    assert "compared by other's marginal intensity" in one.text


def test_a_ranking_that_sees_no_difference_starts_the_job_whatever_the_forecast_says():
    (one,) = plan(ranked([job(slack_s=6 * HOUR)], [300, 100, 300] + [300] * 9, [5] * 12)).plans
    assert one.start_at == NOW
    assert one.reason is Reason.GAIN_TOO_SMALL


def test_a_ranking_alone_is_enough_to_compare_and_no_mass_is_expected():
    (one,) = plan(ranked([job(slack_s=6 * HOUR)], None, [9, 9, 3] + [9] * 9)).plans
    assert one.start_at == START + 2 * HOUR
    assert (one.expected_mg, one.baseline_mg, one.provider) == (None, None, None)
