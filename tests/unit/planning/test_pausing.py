"""Pieces of a job that can be checkpointed, in the slots that cost least."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.planning.pausing import pieces, worth_it

costs = st.lists(st.floats(0, 1000), min_size=2, max_size=40).map(np.array)


def test_two_cheap_hours_apart_are_taken_and_the_dear_ones_between_are_not():
    found = pieces(np.array([10.0, 90, 90, 10, 90]), 2, 5, 0)
    assert found.runs == ((0, 1), (3, 4))
    assert found.saved_mg == pytest.approx(10 + 90 - 20)


def test_each_interruption_costs_its_work():
    free = pieces(np.array([10.0, 90, 90, 10, 90]), 2, 5, 0)
    dear = pieces(np.array([10.0, 90, 90, 10, 90]), 2, 5, 0.5)
    assert free.saved_mg - dear.saved_mg == pytest.approx(0.5 * 10)


def test_a_job_that_may_not_wait_runs_in_one_go():
    assert pieces(np.array([90.0, 10, 10]), 2, 2, 0).runs == ((0, 2),)
    assert pieces(np.array([90.0, 10, 10]), 2, 2, 0).saved_mg == 0


@given(costs, st.floats(0.1, 30), st.floats(0, 60), st.floats(0, 1))
def test_pieces_are_as_long_as_the_work_within_the_window_and_in_order(cost, work, window, stop):
    found = pieces(cost, work, window, stop)
    assert sum(end - first for first, end in found.runs) == np.ceil(work)
    edges = [edge for run in found.runs for edge in run]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= max(np.floor(window), np.ceil(work))


@given(costs, st.integers(1, 20), st.integers(0, 40))
def test_without_a_price_for_stops_pieces_never_cost_more_than_one_go(cost, work, window):
    assert pieces(cost, work, window, 0).saved_mg >= -1e-6


def test_little_is_not_worth_a_stop():
    assert not worth_it(1.9, 100, 0)
    assert worth_it(2.1, 100, 0)
    assert not worth_it(2.1, 100, 5)
