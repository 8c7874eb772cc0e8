from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.accounting import Embodied, EmbodiedNodes

YEAR_S = 31_557_600
SERVERS = EmbodiedNodes(nodes="n[1-2]", mg=1_500_000_000, lifetime_s=6 * YEAR_S)
BOARDS = EmbodiedNodes(nodes="g1", mg=4_000_000_000, lifetime_s=5 * YEAR_S)


def test_a_node_held_for_its_whole_life_bears_all_of_it():
    assert Embodied([SERVERS]).mg("n1", 6 * YEAR_S * 1000) == 1_500_000_000


def test_each_class_has_its_own_and_undeclared_is_not_zero():
    embodied = Embodied([SERVERS, BOARDS])
    assert embodied.mg("n2", 1000) == Fraction(1_500_000_000, 6 * YEAR_S)
    assert embodied.mg("g1", 1000) == Fraction(4_000_000_000, 5 * YEAR_S)
    assert embodied.mg("n3", 1000) is None
    assert embodied.mg("n1", 0) == 0


@given(
    st.integers(0, 10**13), st.integers(1, 30 * YEAR_S),
    st.lists(st.integers(0, 10**10), min_size=1, max_size=50),
)  # fmt: skip
def test_jobs_and_idle_together_bear_exactly_the_node_s_share(mg, lifetime_s, parts_ms):
    """Whatever its time is divided into, no milligram of a node comes or goes."""
    embodied = Embodied([EmbodiedNodes(nodes="n1", mg=mg, lifetime_s=lifetime_s)])
    shares = [embodied.mg("n1", part) for part in parts_ms]
    assert sum(shares) == Fraction(mg * sum(parts_ms), lifetime_s * 1000)


@pytest.mark.parametrize(("mg", "lifetime_s"), [(-1, 1), (1, 0)])
def test_what_makes_no_sense_is_refused(mg, lifetime_s):
    with pytest.raises(ValueError, match="embodied carbon is negative, or a lifetime"):
        EmbodiedNodes(nodes="n1", mg=mg, lifetime_s=lifetime_s)
