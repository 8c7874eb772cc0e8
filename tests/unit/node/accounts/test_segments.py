from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.model.energy import Domain, EnergySegment, PartKind, Quality
from carbonsched.node.accounts.segments import SegmentBook
from carbonsched.node.accounts.tallies import Cell, Tally
from carbonsched.node.presence.stays import IDLE, SYSTEM, Owner

NS = 1_000_000_000
J = 1_000_000


def job(number):
    return Owner(PartKind.JOB, number, 0)


def name(part):
    return (part.kind, part.job_id)


def tally(domain=Domain.CPU, uj=0, doubt=0, quality=Quality.MEASURED, **times):
    return Tally(cells={domain: Cell(uj, doubt, quality)}, **times)


def outstanding(book):
    """Microjoules that are in no segment yet, by domain."""
    state = json.loads(json.dumps(book.to_state()))
    held = Counter()
    for *_, domain, uj, _ in state["carry"]:
        held[domain] += uj
    for one in state["open"]:
        for *_, cells in one["tallies"]:
            for domain, uj, _, _ in cells:
                held[domain] += uj
    return held


@pytest.fixture
def book():
    return SegmentBook("lab", "n1", 10, 0)


def add(book, at, more, meter="rapl"):
    book.add(at * NS, meter, more)


def test_a_part_says_its_domains_times_quality_and_uncertainty(book):
    add(book, 1, {job(7): tally(uj=3 * J, cpu_ns=NS, present_ns=9 * NS, node_ns=NS, uid=5)})
    add(
        book, 2, {job(7): tally(Domain.GPU, 2 * J, J, Quality.SAMPLED), IDLE: tally(node_ns=9 * NS)}
    )
    (segment,) = book.close_until(10 * NS, {job(7)})
    idle, mine = sorted(segment.parts, key=name)
    assert mine.domains == {Domain.CPU: 3, Domain.GPU: 2}
    assert (mine.energy_j, mine.uncertainty_j, mine.quality) == (5, 1, Quality.SAMPLED)
    assert (mine.cpu_ms, mine.present_ms, mine.node_ms, mine.uid) == (1000, 9000, 1000, 5)
    assert (idle.energy_j, idle.node_ms, idle.domains) == (0, 9000, {})
    assert (segment.total_j, segment.quality) == (5, Quality.SAMPLED)
    assert EnergySegment.from_wire(json.loads(json.dumps(segment.to_wire()))) == segment


def test_one_partial_part_leaves_the_others_as_they_were(book):
    add(book, 1, {job(7): tally(uj=J, quality=Quality.PARTIAL), job(8): tally(uj=J), IDLE: tally()})
    (segment,) = book.close_until(10 * NS, ())
    assert {part.job_id: part.quality for part in segment.parts} == {
        7: Quality.PARTIAL, 8: Quality.MEASURED,
    }  # fmt: skip
    assert segment.quality is Quality.PARTIAL


def test_a_part_without_energy_does_not_lower_the_segment(book):
    add(book, 1, {job(7): tally(quality=Quality.PARTIAL), IDLE: tally(uj=J)})
    assert book.close_until(10 * NS, ())[0].quality is Quality.MEASURED


def test_a_job_that_neither_was_there_nor_used_anything_is_not_told(book):
    """An ended job's control group may stay; a part of it would have it settled for ever."""
    short = tally(uj=1, present_ns=1000)
    add(book, 1, {job(7): tally(), job(8): short, job(9): tally(cpu_ns=5), IDLE: tally(uj=J)})
    (segment,) = book.close_until(10 * NS, {job(7)})
    assert [part.job_id for part in segment.parts] == [None, 8, 9]


def test_a_segments_meter_is_the_one_it_began_with(book):
    add(book, 1, {IDLE: tally(uj=J)}, "rapl")
    add(book, 2, {IDLE: tally(uj=J)}, "rapl + nvml")
    add(book, 11, {IDLE: tally(uj=J)}, "rapl + nvml")
    assert [one.meter for one in book.close_until(20 * NS, ())] == ["rapl", "rapl + nvml"]


def test_less_than_a_joule_waits_in_its_own_cell(book):
    for start in range(0, 100, 10):
        add(book, start, {job(7): tally(uj=600_000), IDLE: tally(uj=500_000)})
    segments = book.close_until(100 * NS, {job(7)})
    parts = [part for one in segments for part in one.parts]
    assert sum(part.energy_j for part in parts if part.job_id == 7) == 6
    assert sum(part.energy_j for part in parts if part.job_id is None) == 5
    assert outstanding(book)["cpu"] == 0


def test_what_those_who_are_gone_have_left_becomes_idles(book):
    for start in range(30):
        add(book, start * 10, {job(start + 1): tally(Domain.GPU, 400_000)})
    segments = book.close_until(300 * NS, ())
    assert all(part.energy_j == 0 for one in segments for part in one.parts if part.job_id)
    assert sum(one.total_j for one in segments) * J + outstanding(book)["gpu"] == 30 * 400_000
    add(book, 301, {SYSTEM: tally(uj=J)})
    (last,) = book.close_until(310 * NS, ())
    assert {part.kind: part.energy_j for part in last.parts} == {
        PartKind.SYSTEM: 1, PartKind.IDLE: 12,
    }  # fmt: skip
    assert outstanding(book)["gpu"] < J


def test_many_short_jobs_are_together_billed_what_they_used(book):
    """Rounded down, each would be billed seven in ten of its joules."""
    segments = []
    for number in range(100):
        add(book, number * 10, {job(number + 1): tally(uj=2_700_000), IDLE: tally(uj=J)})
        segments += book.close_until((number + 1) * 10 * NS, ())
    parts = [part for one in segments for part in one.parts]
    assert sum(part.energy_j for part in parts if part.job_id) == 300
    idle_j = sum(part.energy_j for part in parts if part.kind is PartKind.IDLE)
    assert (300 + idle_j) * J + outstanding(book)["cpu"] == 100 * 3_700_000
    assert abs(idle_j - 70) <= 1


def test_a_job_with_energy_in_an_open_segment_is_not_gone(book):
    add(book, 1, {job(7): tally(uj=300_000)})
    add(book, 11, {job(7): tally(uj=300_000)})
    assert book.close_until(10 * NS, ())[0].total_j == 0
    (second,) = book.close_until(20 * NS, ())
    assert [part.energy_j for part in second.parts] == [1]


def test_what_is_open_beyond_a_clock_set_back_follows_another_grid(book):
    add(book, 31, {IDLE: tally(uj=J)})  # and then the clock was set back
    add(book, 12, {IDLE: tally(uj=2 * J)})
    other = SegmentBook("lab", "n1", 7, 0)
    other.load(json.loads(json.dumps(book.to_state())))
    early = other.close_all(13 * NS, ())
    add(other, 31, {IDLE: tally(uj=J)})
    segments = early + other.close_until(50 * NS, ())
    assert [(one.start_at, one.end_at, one.total_j) for one in segments] == [
        (10, 13, 2), (28, 35, 2),
    ]  # fmt: skip


DOMAINS = st.sampled_from([Domain.CPU, Domain.GPU])
ADDED = st.dictionaries(
    st.sampled_from([IDLE, SYSTEM, *map(job, range(1, 5))]),
    st.tuples(DOMAINS, st.integers(0, 3_000_000), st.integers(0, 500_000)),
    max_size=4,
)
STEPS = st.lists(st.tuples(st.integers(0, 9), ADDED, st.booleans(), st.booleans()), max_size=30)


@settings(max_examples=150)
@given(STEPS)
def test_segments_and_what_is_carried_are_what_was_put_in_and_a_restart_changes_nothing(steps):
    book, other = (SegmentBook("lab", "n1", 10, 0) for _ in range(2))
    exact, told, doubts = Counter(), Counter(), [0, 0]
    segments = []
    at = 0
    for seconds, added, early, restart in steps:
        at += seconds
        for each in (book, other):
            more = {who: tally(domain, uj, doubt) for who, (domain, uj, doubt) in added.items()}
            add(each, at, more)
        for who, (domain, uj, doubt) in added.items():
            exact[who.kind, who.job_id if who.kind is PartKind.JOB else None, domain] += uj
            doubts[0] += doubt
        present = set(map(job, range(1, 5)))
        close = SegmentBook.close_all if early else SegmentBook.close_until
        closed = close(book, (at + 1) * NS, present)
        assert close(other, (at + 1) * NS, present) == closed
        segments += closed
        if restart:
            state = json.loads(json.dumps(other.to_state()))
            other = SegmentBook("lab", "n1", 10, 0)
            other.load(state)
    segments += book.close_all((at + 20) * NS, set(map(job, range(1, 5))))
    for one in segments:
        for part in one.parts:
            doubts[1] += part.uncertainty_j
            for domain, joules in part.domains.items():
                told[*name(part), domain] += joules * J
    for key, uj in exact.items():
        assert abs(uj - told[key]) <= J // 2  # each figure is within half a joule of exact
    held = outstanding(book)
    for domain in Domain:
        whole = sum(uj for (_, _, where), uj in exact.items() if where is domain)
        assert (
            sum(uj for (_, _, where), uj in told.items() if where is domain) + held[domain] == whole
        )
    assert abs(doubts[0] - doubts[1] * J) <= 7 * J
