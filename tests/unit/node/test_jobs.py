from __future__ import annotations

import pytest

from carbonsched.node.cgroups import CpuReading
from carbonsched.node.events import Event, EventKind
from carbonsched.node.jobs import LOST_END_NS, JobTable

NS = 1_000_000_000


def event(kind, job_id, at_s, restarts=0, cpus=2, uid=1000):
    return Event(
        name=f"{kind}.{job_id}.{restarts}.1", kind=EventKind(kind), at_ns=round(at_s * NS),
        job_id=job_id, restarts=restarts, uid=uid, cpus=cpus,
    )  # fmt: skip


def reading(job_id, cpu_s, inode=1, uid=1000):
    return CpuReading(job_id, uid, round(cpu_s * NS), inode)


class Table:
    """A job table driven second by second."""

    def __init__(self, journal):
        self.jobs = JobTable(journal)
        self.at_s = 0.0

    def go(self, seconds, *seen):
        begin, self.at_s = self.at_s, self.at_s + seconds
        events = [one for one in seen if isinstance(one, Event)]
        readings = [one for one in seen if isinstance(one, CpuReading)]
        stays = self.jobs.advance(
            round(begin * NS), round(self.at_s * NS), round(self.at_s * NS), events, readings
        )
        return {
            (job.job_id, job.restarts): ((stay.end_ns - stay.begin_ns) / NS, stay.cpu_ns / NS)
            for job, stay in stays
        }


@pytest.fixture
def table(journal):
    return Table(journal)


def test_presence_begins_and_ends_at_the_events_times(table):
    assert table.go(1, event("begin", 7, 0.25)) == {(7, 0): (0.75, 0)}
    assert table.go(1, reading(7, 0.5)) == {(7, 0): (1, 0.5)}
    assert table.go(1, reading(7, 1.5), event("end", 7, 2.5)) == {(7, 0): (0.5, 1)}
    assert table.go(1, reading(7, 1.75)) == {(7, 0): (0, 0.25)}  # its last process lingers
    assert table.go(1) == {(7, 0): (0, 0)}
    assert table.go(1) == {}


def test_a_whole_job_within_one_interval(table):
    assert table.go(1, event("begin", 7, 0.25), event("end", 7, 0.5)) == {(7, 0): (0.25, 0)}
    assert table.go(1) == {}


def test_a_requeued_run_ends_the_one_before_and_starts_from_zero(table):
    table.go(1, event("begin", 7, 0), reading(7, 5))
    seen = table.go(1, event("begin", 7, 1.5, restarts=1), reading(7, 6, inode=2))
    assert seen == {(7, 0): (0.5, 0), (7, 1): (0.5, 6)}
    assert table.go(1, reading(7, 7, inode=2)) == {(7, 1): (1, 1)}


def test_a_counter_that_fell_starts_from_zero(table):
    table.go(1, event("begin", 7, 0), reading(7, 5))
    assert table.go(1, reading(7, 2)) == {(7, 0): (1, 2)}


def test_a_job_without_a_word_from_the_prolog(table, log):
    assert table.go(1, reading(7, 0.5)) == {(7, 0): (1, 0.5)}
    job = table.jobs.latest(7)
    assert (job.uid, job.certain) == (1000, False)
    table.go(1, reading(7, 0.5), event("begin", 7, 0.5, uid=1001))
    assert (job.uid, job.cpus, job.certain) == (1001, 2, True)
    assert "without a word from the prolog" in log.getvalue()


def test_a_job_known_only_by_its_cgroup_ends_with_it(table):
    table.go(1, reading(7, 0.5), reading(8, 1, inode=2))
    assert (7, 0) in table.go(1, event("end", 7, 1.5, restarts=3))
    assert table.go(1) == {}


def test_an_end_of_a_job_never_seen_changes_nothing(table):
    assert table.go(1, event("end", 7, 0.5)) == {}


def test_a_repeated_begin_changes_nothing_and_a_later_one_resumes(table):
    table.go(1, event("begin", 7, 0), reading(7, 1))
    table.go(1, event("begin", 7, 0), reading(7, 1))
    assert len(list(table.jobs)) == 1
    table.go(1, event("end", 7, 2.5), reading(7, 1))
    assert table.go(1, event("begin", 7, 3.5), reading(7, 2)) == {(7, 0): (0.5, 1)}


def test_a_lost_end_stops_counting_after_a_while_and_may_come_back(table, log):
    table.go(1, event("begin", 7, 0), reading(7, 1), event("begin", 8, 0))
    table.go(1)
    table.go(LOST_END_NS / NS + 1)
    seen = table.go(1)
    assert seen == {(7, 0): (0, 0), (8, 0): (1, 0)}  # 8 never had a process: it may have none
    assert "no word from the epilog" in log.getvalue()
    assert table.go(1, reading(7, 2, inode=9)) == {(7, 0): (1, 2), (8, 0): (1, 0)}


def test_unknown_cpus_are_said(table, log):
    table.go(1, event("begin", 7, 0, cpus=None))
    assert not table.jobs.latest(7).certain
    assert "CPUs on this node are not known" in log.getvalue()


def test_state_brings_everything_back(table, journal):
    table.go(1, event("begin", 7, 0), reading(7, 1))
    again = Table(journal)
    again.jobs = JobTable.from_state(table.jobs.to_state(), journal)
    again.at_s = table.at_s
    assert again.go(1, reading(7, 3)) == table.go(1, reading(7, 3)) == {(7, 0): (1, 2)}
