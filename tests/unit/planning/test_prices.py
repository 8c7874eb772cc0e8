"""Run times as weights over lengths, and the prices at which demand fits into the nodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.planning.lengths import Lengths
from carbonsched.planning.prices import Demand, clearing_prices, paid

SLOT_S = 1800
HORIZON = 24
LENGTHS = Lengths(SLOT_S, HORIZON)
COUNT = len(LENGTHS.slots)

run_times = st.lists(st.integers(40, 2 * HORIZON * SLOT_S), min_size=1, max_size=12)
rates = st.lists(st.floats(0, 1000), min_size=HORIZON, max_size=HORIZON)


def padded(values):
    return np.concatenate((values, np.zeros(LENGTHS.reach - len(values))))


def of_length(slots):
    return LENGTHS.weights(np.array([slots * SLOT_S], dtype=float), np.ones(1))


@given(run_times)
def test_a_row_of_weights_sums_to_one_and_keeps_the_mean_run_time(seconds):
    row = LENGTHS.weights(np.array(seconds, dtype=float), np.ones(len(seconds)))
    assert row.min() >= 0
    assert row.sum() == pytest.approx(1)
    assert row @ LENGTHS.slots * SLOT_S == pytest.approx(np.mean(seconds))


@given(st.floats(0.1, 1000))
def test_a_window_of_a_steady_rate_is_the_rate_times_its_length(rate):
    windows = LENGTHS.windows(np.full(LENGTHS.reach, rate))
    assert windows == pytest.approx(np.repeat(rate * LENGTHS.slots[:, None], HORIZON, axis=1))


def test_a_window_takes_the_part_of_the_slot_that_it_reaches_into():
    rates = padded([1.0, 10.0, 100.0])
    row = of_length(0.5)
    assert row @ LENGTHS.windows(rates)[:, 0] == pytest.approx(0.5)
    whole_and_a_half = of_length(1.5) @ LENGTHS.windows(rates)
    # A length between two of the grid is a mixture of them, so only the mean is exact.
    assert 1 + 10 * 0.3 < whole_and_a_half[0] < 1 + 10 * 0.7


@given(st.data(), rates)
def test_what_is_held_times_a_rate_is_what_is_started_times_its_windows(data, rate):
    cells = st.tuples(st.integers(0, COUNT - 1), st.integers(0, HORIZON - 1), st.floats(0, 50))
    starts = np.zeros((COUNT, HORIZON))
    for length, slot, amount in data.draw(st.lists(cells, max_size=10)):
        starts[length, slot] += amount
    by_windows = (starts * LENGTHS.windows(padded(rate))).sum()
    assert LENGTHS.held(starts) @ np.array(rate) == pytest.approx(by_windows, abs=1e-6)


@given(run_times)
def test_what_remains_never_grows_and_ends_with_the_longest(seconds):
    row = LENGTHS.weights(np.array(seconds, dtype=float), np.ones(len(seconds)))
    there = LENGTHS.remaining(row)
    assert there[0] <= 1 + 1e-12
    assert (np.diff(there) <= 1e-12).all()


def demand(nodes, slots, cost, last=HORIZON - 1):
    costs = np.where(np.arange(HORIZON) <= last, np.array(cost, dtype=float), np.inf)
    count = len(nodes)
    return Demand(
        cpus=np.array([nodes], dtype=float),
        lengths=np.array([[of_length(slots)] * count]),
        cost=np.array([[costs] * count]),
    )


def on_two(nodes, slots, *costs):
    """Jobs that may run on either of two clusters, at these costs by slot."""
    one = demand(nodes, slots, CHEAP_AT_TEN)
    return Demand(
        cpus=np.repeat(one.cpus, 2, axis=0),
        lengths=np.repeat(one.lengths, 2, axis=0),
        cost=np.array([[cost] * len(nodes) for cost in costs], dtype=float),
    )


def room(*nodes):
    """A row of free nodes for each cluster."""
    return np.repeat(np.array(nodes, dtype=float)[:, None], HORIZON, axis=1)


CHEAP_AT_TEN = [100.0 if slot != 10 else 50.0 for slot in range(HORIZON)]


def test_nodes_are_free_of_charge_while_there_are_enough():
    prices = clearing_prices(LENGTHS, demand([1] * 5, 1, CHEAP_AT_TEN), room(5))
    assert prices == pytest.approx(np.zeros((1, HORIZON)))


def test_nothing_asked_for_costs_nothing():
    nobody = Demand(
        cpus=np.zeros((1, 0)), lengths=np.zeros((1, 0, COUNT)), cost=np.zeros((1, 0, HORIZON))
    )
    before = room(7)
    assert not clearing_prices(LENGTHS, nobody, room(5), before).any()


def test_what_more_want_than_there_is_costs_as_much_as_the_next_best():
    asked = demand([1] * 20, 1, CHEAP_AT_TEN)
    (prices,) = clearing_prices(LENGTHS, asked, room(10), rounds=200)
    assert prices[10] == pytest.approx(50, abs=4)
    others = np.delete(prices, 10)
    assert others.max() < 4


def test_a_cleaner_cluster_is_worth_more_until_its_room_costs_the_difference():
    """Twenty jobs and ten nodes on either: half of them have to take the dirtier cluster."""
    later = [np.inf] * (HORIZON - 1)
    asked = on_two([1] * 20, 1, [60.0, *later], [100.0, *later])
    here, there = clearing_prices(LENGTHS, asked, room(10, 10), rounds=200)
    assert here[0] - there[0] == pytest.approx(40, abs=4)
    assert there[0] < 4
    here, _ = clearing_prices(LENGTHS, asked, room(21, 0), rounds=200)
    assert here[0] < 4


def test_a_cluster_on_which_nobody_may_start_is_worth_nothing():
    asked = on_two([1] * 20, 1, CHEAP_AT_TEN, [np.inf] * HORIZON)
    prices = clearing_prices(LENGTHS, asked, room(10, 10), rounds=200)
    assert prices[0, 10] == pytest.approx(50, abs=4)
    assert not prices[1].any()


def test_prices_begin_where_the_last_ones_were():
    asked, free = demand([1] * 20, 1, CHEAP_AT_TEN), room(10)
    settled = clearing_prices(LENGTHS, asked, free, rounds=400)
    anew = clearing_prices(LENGTHS, asked, free, rounds=10)
    again = clearing_prices(LENGTHS, asked, free, before=settled, rounds=10)
    assert abs(again - settled).max() <= abs(anew - settled).max()


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=12),
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    st.lists(st.floats(1, 500), min_size=HORIZON, max_size=HORIZON),
    st.integers(4, HORIZON - 1),
)
def test_at_these_prices_a_plan_looks_no_dearer_than_any_that_fits(nodes, slots, cost, last):
    """Weak duality: emissions plus prices, less the worth of what is free, bound every plan."""
    free = np.full(HORIZON, 8.0)
    asked = demand(nodes, slots, cost, last)
    (prices,) = clearing_prices(LENGTHS, asked, free[None, :])
    assert (prices >= 0).all()
    row = asked.lengths[0, 0]
    length = row @ LENGTHS.slots
    at_prices = asked.cost[0, 0] * length + row @ paid(LENGTHS, prices)
    dual = sum(nodes) * at_prices.min() - prices @ free
    held = np.zeros(HORIZON)
    total = 0.0
    for count in nodes:
        alone = np.zeros((COUNT, HORIZON))
        for slot in np.argsort(cost[: last + 1]):
            alone[:] = 0
            alone[:, slot] = row * count
            if (held + LENGTHS.held(alone) <= free + 1e-9).all():
                held += LENGTHS.held(alone)
                total += count * cost[slot] * length
                break
        else:
            return  # this plan does not fit everybody in: nothing to compare with
    assert dual <= total * (1 + 1e-9)


def test_a_demand_that_may_start_at_no_time_is_refused():
    with pytest.raises(ValueError, match="at no time"):
        demand([1], 1, CHEAP_AT_TEN, last=-1)
    with pytest.raises(ValueError, match="as many rows"):
        Demand(
            cpus=np.ones((1, 2)), lengths=np.zeros((1, 1, COUNT)), cost=np.zeros((1, 1, HORIZON))
        )
