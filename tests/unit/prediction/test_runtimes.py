from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.prediction.arrivals import Arrivals
from carbonsched.prediction.runtimes import RunTimes

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
