from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from carbonsched.node.journal import Journal
from carbonsched.node.meters.meter import Gpu
from carbonsched.node.presence.cgroups import CgroupSample, CpuReading
from carbonsched.node.presence.jobs import JobTable
from carbonsched.node.presence.runs import LOST_END_NS

from .table import NS, Table, event, reading


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
    told = event("begin", 7, 0, gpus="1")
    table.go(1, told, event("end", 8, 0.5), reading(7, 1), all_s=10)
    again = Table(journal)
    again.jobs = JobTable.from_state(json.loads(json.dumps(table.jobs.to_state())), journal)
    again.at_s = table.at_s
    seen = (reading(7, 3), event("begin", 8, 0.25), event("end", 7, 1.5))
    for one in (table, again):
        assert one.go(1, *seen, all_s=12.5, gpus=GPUS) == {(7, 0): (0.5, 2), (8, 0): (0, 0.5)}
        assert one.stays[7, 0].gpus == {"GPU-b": (1, 1)}


def test_the_state_of_an_earlier_agent_is_understood(table, journal):
    old = {"job_id": 7, "restarts": 0, "uid": 1000, "cpus": 2, "announced": True, "inode": 1,
           "begin_ns": None, "end_ns": None, "cpu_ns": NS, "gone_since_ns": None, "away": False,
           "energy_uj": 5, "gained_uj": 1}  # fmt: skip
    table.jobs = JobTable.from_state([old], journal)
    assert table.go(1, reading(7, 3)) == {(7, 0): (1, 2)}


# CPU time of control groups that are gone


def test_a_job_of_two_seconds_has_all_its_cpu_time(table):
    table.go(1, all_s=100)
    assert table.go(1, event("begin", 7, 1.5), reading(7, 0.25), all_s=100.25) == {
        (7, 0): (0.5, 0.25)
    }
    assert table.go(1, reading(7, 1.25), all_s=101.25) == {(7, 0): (1, 1)}
    assert table.go(1, event("end", 7, 3.5), all_s=101.75) == {(7, 0): (0.5, 0.5)}
    assert table.other_s == 0


def test_a_job_within_one_sample_has_all_its_cpu_time(table):
    table.go(1, event("begin", 8, 0), reading(8, 1), all_s=10)
    seen = table.go(1, event("begin", 7, 1.25), event("end", 7, 1.5), reading(8, 2), all_s=11.25)
    assert seen == {(8, 0): (1, 1), (7, 0): (0.25, 0.25)}


def test_an_end_that_comes_in_after_the_group_has_gone(table):
    table.go(1, event("begin", 7, 0), reading(7, 1), all_s=1)
    assert table.go(1, all_s=1.75) == {(7, 0): (1, 0.75)}
    assert table.go(1, event("end", 7, 1.9), all_s=1.75) == {(7, 0): (0, 0)}


def test_jobs_that_end_while_no_agent_runs(table):
    """All event files are waiting; of one job not even the begin was taken in."""
    table.go(1, event("begin", 7, 0, cpus=2), reading(7, 1), all_s=1)
    seen = table.go(
        100, event("end", 7, 51), event("begin", 8, 31, cpus=4), event("end", 8, 56),
        event("begin", 9, 90), reading(9, 3, inode=9), all_s=64,
    )  # fmt: skip
    # 60 s of CPU time: 2 CPUs for 50 s and 4 CPUs for 25 s.
    assert seen == {(7, 0): (50, 30), (8, 0): (25, 30), (9, 0): (11, 3)}


def test_a_step_between_two_samples_is_its_jobs(table):
    table.go(1, event("begin", 7, 0), event("begin", 8, 0), reading(8, 1, inode=8), all_s=1)
    seen = table.go(1, reading(8, 2, inode=8), all_s=2.5)
    assert seen == {(7, 0): (1, 0.5), (8, 0): (1, 1)}


def test_a_group_that_was_made_again_loses_nothing(table):
    table.go(1, event("begin", 7, 0), reading(7, 1), all_s=1)
    assert table.go(1, reading(7, 0.25, inode=2), all_s=1.75) == {(7, 0): (1, 0.75)}


def test_who_lost_a_group_comes_before_who_has_none(table):
    """An allocation without a step does not pay for its neighbour."""
    table.go(1, event("begin", 7, 0), event("begin", 8, 0), reading(8, 1), all_s=1)
    assert table.go(1, all_s=2) == {(7, 0): (1, 0), (8, 0): (1, 1)}


def test_cpu_time_of_nobody_is_told_as_such(table):
    table.go(1, event("begin", 7, 0), reading(7, 1), all_s=1)
    assert table.go(1, reading(7, 2), all_s=2.125) == {(7, 0): (1, 1)}
    assert table.other_s == 0  # not more than the skew of reading one after the other
    assert table.go(1, reading(7, 3), all_s=4) == {(7, 0): (1, 1)}
    assert table.other_s == 1


def test_a_hierarchy_that_begins_anew_gives_nothing(table):
    table.go(1, event("begin", 7, 0), reading(7, 1), all_s=50)
    assert table.go(1, reading(7, 2), all_s=1) == {(7, 0): (1, 1)}
    assert table.go(1, event("end", 7, 3), all_s=1.5) == {(7, 0): (1, 0.5)}


def test_a_hierarchy_that_cannot_be_read_for_a_while(table):
    table.go(1, event("begin", 7, 0), reading(7, 1), all_s=1)
    table.go(1, reading(7, 2))
    assert table.go(1, all_s=2.5) == {(7, 0): (1, 0.5)}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),  # the second of its begin
            st.integers(0, 4),  # how many seconds later its group vanishes
            st.integers(0, 3 * NS),  # CPU time in each second
        ),
        min_size=1, max_size=5,
    ),
    st.sets(st.integers(0, 9)),
)  # fmt: skip
def test_no_cpu_time_is_lost_or_counted_twice(jobs, sampled):
    """Whatever is sampled when, in the end the sum is what the hierarchy counted."""
    table = JobTable(Journal("agent"))
    table.advance(0, 1, 1, [], CgroupSample((), 0, 5))
    total, given_ns, before = 0, 0, 1
    waiting = []
    for second in range(10):
        now = (second + 1) * NS
        readings = []
        for number, (begin, length, each) in enumerate(jobs):
            if second == begin:
                waiting.append(event("begin", number + 1, second + 0.25))
            if begin <= second <= begin + length:
                total += each
            if second == begin + length:
                waiting.append(event("end", number + 1, second + 0.75))
            elif begin <= second < begin + length:
                used = each * (second - begin + 1)
                readings.append(CpuReading(number + 1, 1000, used, number + 1))
        if second in sampled or second == 9:
            sample = CgroupSample(tuple(readings), total, 5)
            advance = table.advance(before, now, now, waiting, sample)
            parts = [stay.cpu_ns for _, stay in advance.stays] + [advance.other_ns]
            assert min(parts) >= 0
            given_ns += sum(parts)
            before, waiting = now, []
    assert given_ns == total
    assert list(table) == []


# Odd orders of events


def test_a_begin_that_comes_in_after_its_end(table):
    table.go(1, event("end", 7, 0.75))
    assert table.go(1, event("begin", 7, 0.25)) == {(7, 0): (0, 0)}
    assert table.go(1) == {}


def test_ends_of_long_ago_are_forgotten(table):
    table.go(1, event("end", 7, 0.75))
    assert table.jobs.to_state()["ends"] == [[7, 0, 750_000_000]]
    table.go(700)
    assert table.jobs.to_state()["ends"] == []


def test_events_that_come_in_twice_change_nothing(table):
    table.go(1, event("begin", 7, 0.25), event("end", 7, 0.75))
    table.go(1, event("begin", 7, 0.25), event("end", 7, 0.75))
    assert table.go(1) == {}
    table.go(1, event("begin", 7, 3.5, restarts=1))
    again = (event("end", 7, 0.75, restarts=1), event("begin", 7, 0.25), event("end", 7, 0.75))
    assert table.go(1, *again)[7, 1] == (1, 0)


def test_tasks_of_an_array_and_parts_of_a_heterogeneous_job_are_jobs(table):
    """Each has a number of its own in Slurm, and so in its events and control groups."""
    seen = table.go(
        1, event("begin", 7, 0, cpus=1), event("begin", 8, 0.5, cpus=4), event("begin", 9, 0.75),
        reading(7, 1, inode=1), reading(8, 2, inode=2),
    )  # fmt: skip
    assert seen == {(7, 0): (1, 1), (8, 0): (0.5, 2), (9, 0): (0.25, 0)}
    assert table.stays[8, 0].cpus == 4


def test_a_number_that_is_used_again_is_another_job(table):
    table.go(1, event("begin", 7, 0), reading(7, 1))
    table.jobs.latest(7).energy_uj = 5
    seen = table.go(1, event("begin", 7, 1.5, uid=1002, cpus=4), reading(7, 2, inode=2))
    assert seen == {(7, 0): (0.5, 2)}
    job = table.jobs.latest(7)
    assert (job.uid, job.cpus, job.energy_uj, len(list(table.jobs))) == (1002, 4, 0, 1)


def test_a_number_that_is_used_again_after_a_requeued_job_lost_its_end(table):
    table.go(1, event("begin", 7, 0, restarts=2))
    assert table.go(1, event("begin", 7, 1.5)) == {(7, 2): (0.5, 0), (7, 0): (0.5, 0)}
    assert table.go(1) == {(7, 0): (1, 0)}


def test_times_move_with_the_clock(table):
    table.go(1, event("begin", 7, 0.5), reading(7, 1))
    table.at_s -= 3600  # set back; the end's file has the new time
    table.ahead_s -= 3600
    assert table.go(1, event("end", 7, table.at_s + 0.5)) == {(7, 0): (0.5, 0)}
    assert table.go(1) == {}


def test_a_gap_is_no_clock_that_was_set(table):
    """Nothing of it is metered, but jobs end in it all the same."""
    table.go(1, event("begin", 7, 0.5), reading(7, 1))
    table.at_s += 7200
    assert table.go(0, event("end", 7, 3600)) == {(7, 0): (0, 0)}
    assert table.go(1) == {}


# Slurm's record


GPUS = (Gpu(device="GPU-a", index=0), Gpu(device="GPU-b", index=1))


def test_the_cpuset_tells_the_allocation_where_the_prolog_did_not(table):
    table.go(1, reading(7, 1, memory_mb=500, cpus=3))
    assert (table.stays[7, 0].cpus, table.stays[7, 0].memory_mb) == (3, 500)
    assert not table.jobs.latest(7).certain
    table.go(1, reading(8, 1, inode=2, cpus=3), event("begin", 8, 1, cpus=None))
    assert table.stays[8, 0].cpus == 3
    assert table.jobs.latest(8).certain


def test_a_job_is_suspended_from_the_sample_after_it_was_stopped(table):
    table.go(1, event("begin", 7, 0), reading(7, 1))
    suspended = []
    for now in (True, True, False, True):
        table.go(1, reading(7, 2, suspended=now))
        suspended.append(table.stays[7, 0].suspended)
    assert suspended == [False, True, False, False]


def test_gpus_are_those_that_the_prolog_named(table, log):
    table.go(1, event("begin", 7, 0, gpus="1"), event("begin", 8, 0, gpus="0,5"), gpus=GPUS)
    assert table.stays[7, 0].gpus == {"GPU-b": (1, 1)}
    assert table.stays[8, 0].gpus == {"GPU-a": (1, 1)}
    assert (table.jobs.latest(7).certain, table.jobs.latest(8).certain) == (True, False)
    table.go(1, event("begin", 9, 1), gpus=GPUS)
    assert log.getvalue().count("GPU 5 is none that is metered") == 1


def test_gpus_that_appear_late_are_found(table):
    table.go(1, event("begin", 7, 0, gpus="1", visible="GPU-b"))
    assert (table.stays[7, 0].gpus, table.jobs.latest(7).certain) == ({}, False)
    table.go(1, gpus=GPUS)
    assert (table.stays[7, 0].gpus, table.jobs.latest(7).certain) == ({"GPU-b": (1, 1)}, True)


def test_gpus_that_no_meter_sees_are_missing_and_that_is_said_once(table, log):
    table.go(1, event("begin", 7, 0, gpus="0-3", visible="GPU-a,GPU-b"), event("begin", 8, 0))
    table.go(1, event("begin", 9, 1, gpus="0"), event("begin", 10, 1, visible="NoDevFiles"))
    certain = {job.job_id: job.certain for job in table.jobs}
    assert certain == {7: False, 8: True, 9: False, 10: True}
    (line,) = [one for one in log.getvalue().splitlines() if "GPU" in one]
    assert "job 7 has GPU GPU-a, GPU-b, and no meter here sees any GPU" in line
    assert "load the GPUs' driver" in line
    table.go(1, gpus=GPUS)
    assert {job.job_id: job.certain for job in table.jobs} == dict.fromkeys(certain, True)
    table.go(1, event("begin", 11, 3, gpus="0"))
    assert log.getvalue().count("no meter here sees any GPU") == 2


def test_jobs_whose_cpu_time_nobody_counts_are_uncertain_and_that_is_said_once(table, log):
    table.go(1, event("begin", 7, 0), hierarchy=0)
    assert table.jobs.latest(7).certain, "its first step may make Slurm's groups"
    for _ in range(40):
        table.go(1, hierarchy=0)
    table.go(1, event("begin", 8, 41), hierarchy=0)
    assert [job.certain for job in table.jobs] == [False, False]
    (line,) = log.getvalue().splitlines()
    assert "job 7 is here and no control group tells its CPU time" in line
    assert "JobAcctGatherType=jobacct_gather/cgroup" in line
    table.go(1)
    assert [job.certain for job in table.jobs] == [True, True]


def test_a_job_without_a_step_is_certain_where_others_are_counted(table, log):
    for _ in range(100):
        table.go(1, event("begin", 7, 0))
    assert table.jobs.latest(7).certain
    assert log.getvalue() == ""


def test_a_sluid_tells_the_runs_of_a_job_apart(table):
    old, new = "s5K1KKYAYG5D00", "s5K1KKYAYG5D01"
    table.go(1, event("begin", 7, 0, sluid=old), reading(7, 1, sluid=old))
    assert table.jobs.sluids() == {old: 7}
    seen = table.go(
        1, event("begin", 7, 1.5, restarts=1, sluid=new),
        reading(7, 0.25, inode=2, sluid=new), reading(7, 1.5, sluid=old),
    )  # fmt: skip
    assert seen == {(7, 0): (0.5, 0.5), (7, 1): (0.5, 0.25)}
    assert table.go(1, reading(7, 1, inode=2, sluid=new)) == {(7, 0): (0, 0), (7, 1): (1, 0.75)}
