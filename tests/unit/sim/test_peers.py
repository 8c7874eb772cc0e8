from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.intensity import Forecast, Point, SeriesInfo
from carbonsched.sim.engine import Simulation
from carbonsched.sim.peers import NAMES
from carbonsched.sim.peers.outlook import Outlook
from carbonsched.sim.peers.policy import PeerPolicy
from carbonsched.sim.peers.rules import (
    RULES,
    Arrival,
    carbon_time,
    cats,
    lowest_window,
    wait_awhile,
)
from carbonsched.sim.scenario import SimJob

HOUR = 3600
MONDAY = int(datetime(2023, 11, 13, tzinfo=UTC).timestamp())


def forecast(grams, at: int = MONDAY) -> Forecast:
    points = tuple(
        Point(at + HOUR * i, at + HOUR * (i + 1), round(1000 * one)) for i, one in enumerate(grams)
    )
    return Forecast(info=SeriesInfo(provider="t", zone="DE"), issued_at=at, points=points)


def outlook(grams, hours: int = 200) -> Outlook:
    return Outlook(forecast(grams), MONDAY + HOUR * hours)


def arrival(at_h: float = 0, hours: float = 1, delay_h: int = 24, **more) -> Arrival:
    job = SimJob(
        job_id="a", user="u", submit_at=MONDAY + int(at_h * HOUR), nodes=1,
        requested_s=int(hours * HOUR), runtime_s=1, max_delay_s=delay_h * HOUR, power_w=1,
    )  # fmt: skip
    values = {"expected_s": job.requested_s, **more}
    return Arrival(job=job, now=job.submit_at, **values)


def after_h(rule, grams, one: Arrival) -> float:
    return (rule(outlook(grams), one) - one.now) / HOUR


def test_the_last_day_of_a_forecast_repeats():
    days = outlook([9.0] * 24 + list(range(24)), 300)
    for day in (1, 2, 5, 9):
        at = MONDAY + 24 * HOUR * day
        assert days.level(at + 5 * HOUR, at + 6 * HOUR) == 5000 * HOUR
        assert days.interpolated(at + 5 * HOUR, at + 6 * HOUR) == 5500 * HOUR
    short = outlook([1.0, 3.0])
    assert short.level(MONDAY + 6 * HOUR, MONDAY + 8 * HOUR) > 0


@given(
    st.lists(st.integers(0, 900), min_size=30, max_size=60),
    st.integers(-HOUR, 90 * HOUR),
    st.integers(0, 40 * HOUR),
    st.integers(0, 40 * HOUR),
)
def test_sums_add_up_and_stay_between_the_extremes(grams, start_s, first_s, second_s):
    ahead = outlook(grams)
    a = MONDAY + start_s
    b, c = a + first_s, a + first_s + second_s
    for total in (ahead.level, ahead.interpolated):
        assert total(a, b) + total(b, c) == pytest.approx(total(a, c), rel=1e-9, abs=1)
        assert 1000 * min(grams) * (c - a) <= total(a, c) * (1 + 1e-9) + 1
        assert total(a, c) <= 1000 * max(grams) * (c - a) * (1 + 1e-9) + 1


def test_cats_weighs_lines_between_values_and_gaia_whole_hours():
    grams = [400, 100, 390, 150, 160] + [400] * 40
    assert after_h(lowest_window, grams, arrival()) == 1
    assert after_h(cats, grams, arrival()) == 3


def test_cats_goes_by_what_was_requested_and_gaia_by_what_is_usual():
    grams = [400, 50, 400, 300, 200, 100] + [400] * 40
    late = arrival(hours=3, expected_s=HOUR)
    assert after_h(lowest_window, grams, late) == 1
    assert after_h(cats, grams, late) == 3


def test_carbon_time_weighs_waiting():
    grams = [400, 200, 400, 400, 400, 150] + [400] * 40
    assert after_h(lowest_window, grams, arrival()) == 5
    assert after_h(carbon_time, grams, arrival()) == 1
    assert after_h(carbon_time, [100] * 30, arrival()) == 0


def test_wait_awhile_ends_by_the_next_workdays_opening():
    grams = [400 - i for i in range(100)]  # later is cleaner
    assert after_h(wait_awhile, grams, arrival(8, 2)) == 0  # would end at 10 of a workday
    assert after_h(wait_awhile, grams, arrival(18, 2)) == 13  # ends at 9
    assert after_h(wait_awhile, grams, arrival(18, 2, delay_h=3)) == 3
    assert after_h(wait_awhile, grams, arrival(18, 2, utc_offset_s=2 * HOUR)) == 11
    friday, sunday = 4 * 24, 6 * 24
    week = [1000 - i for i in range(200)]
    assert after_h(wait_awhile, week, arrival(friday + 18, 2, delay_h=90)) == 61
    assert after_h(wait_awhile, week, arrival(sunday + 12, 2, delay_h=90)) == 19


@given(
    st.sampled_from(sorted(RULES)),
    st.lists(st.integers(0, 900), min_size=24, max_size=96),
    st.integers(0, 20 * HOUR),
    st.integers(60, 40 * HOUR),
    st.integers(0, 30),
)
def test_every_rule_keeps_to_the_delay(name, grams, at_s, requested_s, delay_h):
    one = arrival(at_s / HOUR, requested_s / HOUR, delay_h)
    assert one.now <= RULES[name](outlook(grams), one) <= one.latest_at


def test_peers_decide_once_by_what_was_issued_then(job, place):
    cleaner_later = [400, 400, 100] + [400] * 40
    start = 1_700_000_000 // HOUR * HOUR
    jobs = [job(name, HOUR + at, HOUR, requested_s=HOUR) for name, at in (("a", 0), ("b", 60))]
    small = place(
        jobs,
        [400] * 60,
        forecasts=[(start + HOUR, cleaner_later), (start + HOUR + 30, [400] * 4 + [50] * 40)],
    )
    runs = {r.job.job_id: r for r in Simulation(small, PeerPolicy("lowest-window", small)).run()}
    assert runs["a"].start_at == start + 3 * HOUR  # though a later issue says otherwise
    assert runs["b"].start_at == start + 5 * HOUR + 60
    unknown = place(jobs, [400] * 60)
    assert all(
        run.start_at == run.job.submit_at
        for run in Simulation(unknown, PeerPolicy("cats", unknown)).run()
    )


def test_gaia_learns_from_the_class_of_jobs_that_ended(job, place):
    grams = [400] * 5 + [50, 60] + [400] * 2 + [150] * 3 + [400] * 40
    start = 1_700_000_000 // HOUR * HOUR
    long = job("long", 0, 3 * HOUR, max_delay_s=0)
    next_one = job("next", 4 * HOUR, HOUR, requested_s=7201, max_delay_s=10 * HOUR)
    short = job("short", 4 * HOUR, 60, requested_s=3600, max_delay_s=10 * HOUR)
    small = place([long, next_one, short], [400] * 60, forecasts=[(start, grams)])
    runs = {r.job.job_id: r for r in Simulation(small, PeerPolicy("lowest-window", small)).run()}
    assert runs["next"].start_at == start + 9 * HOUR  # the window of 3 h
    assert runs["short"].start_at == start + 5 * HOUR


def test_each_name_has_a_rule():
    assert set(NAMES) == set(RULES)
