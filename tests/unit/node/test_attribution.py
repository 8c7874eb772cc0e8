from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.energy import PartKind
from carbonsched.node.attribution import IDLE, SYSTEM, Energy, Owner, Use, divide
from carbonsched.node.intervals import Stay, cut
from carbonsched.units import apportion

NS = 1_000_000_000


def owner(number):
    return Owner(PartKind.JOB, number, 0)


@st.composite
def situations(draw):
    """An interval with up to six jobs, also overcommitted and absent ones."""
    length = draw(st.integers(1, 5 * NS))
    count = draw(st.integers(0, 6))
    uses = [
        Use(
            owner(number),
            draw(st.integers(0, 16)),
            draw(st.integers(0, length)),
            draw(st.integers(0, 20 * NS)),
        )
        for number in range(count)
    ]
    static = draw(st.integers(0, 10**9))
    energy = Energy(static + draw(st.integers(0, 10**9)), static)
    return energy, length, uses, draw(st.integers(0, 10 * NS))


@given(situations(), st.randoms())
def test_shares_add_up_exactly_whatever_the_order(situation, random):
    energy, length, uses, system = situation
    shares = divide(energy, length, 8, uses, system)
    assert sum(shares.values()) == energy.total_uj
    assert min(shares.values(), default=0) >= 0
    assert {use.owner for use in uses} <= set(shares)
    random.shuffle(uses)
    assert divide(energy, length, 8, uses, system) == shares


def test_static_energy_goes_by_allocated_cpus_and_time_present():
    uses = [Use(owner(1), 4, NS, 0), Use(owner(2), 2, NS // 2, 0)]
    shares = divide(Energy(80, 80), NS, 8, uses)
    assert shares == {owner(1): 40, owner(2): 10, IDLE: 30}


def test_dynamic_energy_goes_by_cpu_time_and_the_systems_own():
    uses = [Use(owner(1), 4, NS, 3 * NS), Use(owner(2), 4, NS, NS)]
    assert divide(Energy(100, 0), NS, 8, uses, NS) == {owner(1): 60, owner(2): 20, SYSTEM: 20}


def test_dynamic_energy_without_any_cpu_time_is_the_systems():
    assert divide(Energy(7, 0), NS, 8, [Use(owner(1), 4, NS, 0)]) == {owner(1): 0, SYSTEM: 7}


def test_an_overcommitted_node_is_scaled_and_has_nothing_idle():
    uses = [Use(owner(1), 8, NS, 0), Use(owner(2), 24, NS, 0)]
    assert divide(Energy(100, 100), NS, 8, uses) == {owner(1): 25, owner(2): 75}


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=9))
def test_apportioned_shares_are_within_one_of_exact(total, weights):
    table = dict(enumerate(weights))
    if not any(weights):
        with pytest.raises(ValueError, match="all zero"):
            apportion(total, table)
        return
    shares = apportion(total, table)
    assert sum(shares.values()) == total
    for key, weight in table.items():
        assert abs(shares[key] * sum(weights) - total * weight) < sum(weights)


def test_energy_with_more_static_than_total_is_refused():
    with pytest.raises(ValueError, match="static"):
        Energy(1, 2)


@given(
    st.integers(0, 100 * NS),
    st.integers(1, 50 * NS),
    st.integers(1, 20).map(lambda seconds: seconds * NS),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**10)), max_size=4),
    st.integers(0, 10**10),
)
def test_cutting_at_grid_lines_keeps_every_sum(begin, length, grid, static, dynamic, jobs, system):
    stays = []
    for number, (one, other, cpu) in enumerate(jobs):
        first, last = sorted((begin + int(one * length), begin + int(other * length)))
        stays.append(Stay(owner(number), 2, first, last, cpu))
    pieces = cut(begin, begin + length, grid, Energy(static + dynamic, static), stays, system)
    assert sum(piece.length_ns for piece in pieces) == length
    assert sum(piece.energy.total_uj for piece in pieces) == static + dynamic
    assert sum(piece.energy.static_uj for piece in pieces) == static
    assert sum(piece.system_cpu_ns for piece in pieces) == system
    for stay in stays:
        mine = [use for piece in pieces for use in piece.uses if use.owner == stay.owner]
        assert sum(use.cpu_ns for use in mine) == stay.cpu_ns
        assert sum(use.present_ns for use in mine) == stay.end_ns - stay.begin_ns
    for before, after in pairwise(pieces):
        assert after.begin_ns == before.begin_ns + before.length_ns
        assert after.begin_ns % grid == 0


def test_an_interval_without_length_is_refused():
    with pytest.raises(ValueError, match="ends after"):
        cut(5, 5, 10, Energy(0, 0), [], 0)
