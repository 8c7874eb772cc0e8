from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.prediction.arrivals import Arrivals
from carbonsched.prediction.runtimes import RunTimes, Unfinished

HOUR = 3600
DAY = 24 * HOUR

shares = st.lists(st.floats(0.001, 1), max_size=40)


def learnt(*runs):
    made = RunTimes()
    for user, nodes, requested_s, runtime_s in runs:
        made.ended(user, nodes, requested_s, runtime_s)
    return made


def test_of_a_stranger_only_the_request_is_known():
    spread = RunTimes().of("ada", 2, 10_000)
    assert list(spread.seconds) == [1000, 3000, 5000, 7000, 9000]
    assert spread.mean_s == 5000


def test_the_same_user_size_and_request_counts_most():
    made = learnt(
        *[("ada", 1, HOUR, 600)] * 3, *[("ada", 4, HOUR, 3000)] * 3, *[("bob", 1, HOUR, 60)] * 9
    )
    spread = made.of("ada", 1, HOUR)
    assert spread.quantile_s(0.5) < 1000
    assert made.of("ada", 4, HOUR).quantile_s(0.5) > 2000


def test_a_run_of_another_request_tells_its_share():
    made = learnt(*[("ada", 1, HOUR, HOUR // 2)] * 8)
    assert 0.4 < made.of("ada", 1, 10 * HOUR).quantile_s(0.5) / (10 * HOUR) < 0.6


@given(shares, st.integers(60, 5 * DAY), st.floats(0, 1))
def test_a_run_takes_something_and_never_more_than_its_request(seen, requested_s, share):
    made = learnt(*[("ada", 1, requested_s, max(1, int(one * requested_s))) for one in seen])
    spread = made.of("ada", 1, requested_s)
    assert (np.diff(spread.seconds) >= 0).all()
    assert 1 <= spread.quantile_s(share) <= requested_s


@given(shares, st.integers(60, 5 * DAY), st.integers(1, 6 * DAY))
def test_what_is_left_of_a_run_is_positive_whatever_it_has_outlived(seen, requested_s, elapsed_s):
    made = learnt(*[("ada", 1, requested_s, max(1, int(one * requested_s))) for one in seen])
    left = made.left("ada", 1, requested_s, elapsed_s)
    assert min(left.seconds) > 0
    assert min(left.weights) > 0


def test_a_run_that_outlived_the_short_ones_is_one_of_the_long():
    made = learnt(*[("ada", 1, 10 * HOUR, 60), ("ada", 1, 10 * HOUR, 8 * HOUR)] * 5)
    fresh, old = made.of("ada", 1, 10 * HOUR), made.left("ada", 1, 10 * HOUR, HOUR)
    assert fresh.mean_s < 5 * HOUR
    assert old.mean_s > 6 * HOUR


def test_of_a_new_kind_the_first_runs_of_others_tell_not_the_many_that_are_repeated():
    firsts = [(f"user{n}", 4, 10 * HOUR, 9 * HOUR) for n in range(12)]
    repeated = [("eve", 1, HOUR, 60)] * 400
    assert learnt(*firsts, *repeated).of("ada", 4, 10 * HOUR).quantile_s(0.5) > 8 * HOUR


def test_first_runs_of_large_jobs_say_more_than_those_of_small_ones():
    small = [(f"user{n}", 1, 600, 30) for n in range(20)]
    large = [(f"group{n}", 32, 10 * HOUR, 8 * HOUR) for n in range(10)]
    assert learnt(*small, *large).of("ada", 4, HOUR).quantile_s(0.5) > HOUR / 2


def test_runs_that_go_on_tell_of_those_that_wait_before_any_has_ended():
    made = learnt(*[("ada", 1, HOUR, 120)] * 20)
    before = made.of("ada", 32, 5 * HOUR).mean_s
    made.go_on([Unfinished("ada", 32, 5 * HOUR, 2 * HOUR)] * 4)
    assert before < 1.5 * HOUR
    assert made.of("ada", 32, 5 * HOUR).mean_s > 1.8 * before
    assert made.of("bob", 32, 5 * HOUR) == learnt(*[("ada", 1, HOUR, 120)] * 20).of(
        "bob", 32, 5 * HOUR
    )
    made.go_on([])
    assert made.of("ada", 32, 5 * HOUR).mean_s == before


def test_a_run_that_has_just_begun_says_nothing():
    made = learnt(*[("ada", 1, HOUR, 600)] * 3)
    before = made.of("ada", 1, HOUR)
    made.go_on([Unfinished("ada", 1, HOUR, 30)])
    assert made.of("ada", 1, HOUR) == before


@given(shares, st.lists(st.integers(60, 6 * DAY), max_size=20), st.integers(60, 5 * DAY))
def test_with_runs_that_go_on_nothing_takes_more_than_its_request(seen, elapsed, requested_s):
    made = learnt(*[("ada", 1, requested_s, max(1, int(one * requested_s))) for one in seen])
    made.go_on(Unfinished("ada", 1, requested_s, one) for one in elapsed)
    spread = made.of("ada", 1, requested_s)
    assert (np.diff(spread.seconds) >= 0).all()
    assert spread.seconds[0] >= 1
    assert spread.seconds[-1] <= requested_s
    assert min(spread.weights) > 0


def test_work_to_come_is_what_came_at_that_hour_of_the_day():
    seen = Arrivals()
    for day in range(20):
        for hour, node_s in ((9, 1000.0), (21, 200.0)):
            seen.submitted(day * DAY + hour * HOUR, node_s)
    coming = seen.expected(20 * DAY, 24)
    assert coming[9] > 5 * coming[3]
    assert coming[9] > 4 * coming[21] > 0
    assert abs(coming.sum() - 1200) < 60


def test_work_that_turned_out_less_is_taken_off_and_never_below_nothing():
    seen = Arrivals()
    seen.submitted(9 * HOUR, 1000.0)
    seen.corrected(9 * HOUR, -400.0)
    less = seen.expected(2 * DAY, 24)
    seen.corrected(9 * HOUR, -2000.0)
    assert less.sum() > 0
    assert seen.expected(2 * DAY, 24).min() >= 0


def test_nothing_seen_nothing_expected():
    assert not Arrivals().expected(0, 5).any()
