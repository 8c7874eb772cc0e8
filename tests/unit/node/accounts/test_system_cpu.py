from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbonsched.node.accounts.system_cpu import SystemCpu

MS = 1_000_000


def test_jitter_makes_no_system_of_what_jobs_used():
    """Ticks of 10 ms beside exact counters: the whole is a tick behind, then ahead."""
    system = SystemCpu()
    told = [system.beyond(250 * MS, 0, whole) for whole in (240 * MS, 260 * MS, 245 * MS, 255 * MS)]
    assert told == [0, 0, 0, 0]


def test_what_is_beyond_the_jobs_is_the_system_s():
    assert SystemCpu().beyond(250 * MS, 0, 300 * MS) == 50 * MS


def test_what_groups_of_no_job_counted_is_told_at_once():
    system = SystemCpu()
    assert system.beyond(100 * MS, 30 * MS, 110 * MS) == 30 * MS
    assert system.beyond(100 * MS, 0, 150 * MS) == 30 * MS  # 20 ms of these 50 had been told


def test_no_more_than_a_second_is_owed():
    system = SystemCpu()
    assert system.beyond(60_000 * MS, 0, 0) == 0
    assert system.beyond(0, 0, 1_500 * MS) == 500 * MS


jitter = st.lists(st.integers(-40 * MS, 40 * MS), max_size=60)


@given(jitter, st.integers(0, 200 * MS))
def test_over_time_the_system_gets_what_it_used_whatever_the_jitter(offsets, used_ns):
    """The whole is read a little early or late each time: its sum stays right, to one offset."""
    system = SystemCpu()
    before = told = 0
    for offset in offsets:
        told += system.beyond(250 * MS, 0, 250 * MS + used_ns + offset - before)
        before = offset
    true_ns = used_ns * len(offsets)
    assert true_ns + min([0, *offsets]) <= told <= true_ns + max([0, *offsets]) + 40 * MS
