"""Runs whose end nobody saw: by Slurm's record, by a control group without a process."""

from __future__ import annotations

import json

import pytest

from carbonsched.node.presence.jobs import JobTable

from .table import NS, event, reading


def test_slurm_closes_a_run_without_an_epilog(table, log):
    table.go(10, event("begin", 7, 1), event("begin", 8, 1))
    assert table.jobs.present() == [(7, 0), (8, 0)]
    job = table.jobs.latest(7)
    table.jobs.end_from_slurm([(7, 0, 9), (8, 1, 9)])
    assert not job.certain
    assert table.jobs.present() == [(8, 0)]
    assert table.go(1) == {(7, 0): (0, 0), (8, 0): (1, 0)}
    assert table.go(1) == {(8, 0): (1, 0)}
    assert "Slurm's record" in log.getvalue()


def test_slurm_closes_a_run_without_a_prolog(table):
    table.go(1, reading(7, 1))
    assert table.jobs.present() == [(7, 0)]
    table.jobs.end_from_slurm([(7, 0, 1)])
    assert table.jobs.present() == []
    assert table.go(1, reading(7, 2)) == {(7, 0): (0, 1)}  # a last process


def test_slurms_end_of_an_earlier_job_with_the_number_is_not_this_ones(table):
    table.at_s = 5000
    table.go(1, event("begin", 7, 5000.5))
    table.jobs.end_from_slurm([(7, 0, 100.0)])
    assert table.jobs.present() == [(7, 0)]


@pytest.mark.parametrize(("end_s", "closed"), [(4998.5, True), (4998.0, False), (4971, False)])
def test_an_end_may_lie_two_seconds_before_the_begin(table, end_s, closed):
    """Whole seconds and two clocks; what is earlier is another run's, and this one goes on."""
    table.at_s = 5000
    table.go(1, event("begin", 7, 5000.5))
    table.jobs.end_from_slurm([(7, 0, end_s)])
    assert table.jobs.present() == ([] if closed else [(7, 0)])
    assert table.go(1) == {(7, 0): (0 if closed else 1, 0)}


def test_a_job_over_before_it_was_first_seen_is_closed_once_it_stood_still_for_long(table, journal):
    """Its group is left over; no prolog told when it began."""
    table.at_s = 5000
    table.go(1, reading(7, 100))
    table.jobs.end_from_slurm([(7, 0, 1400)])
    assert table.jobs.present() == [(7, 0)], "it may be another run, whose prolog was lost"
    for _ in range(70):
        table.go(10, reading(7, 100))
    table.jobs.end_from_slurm([(7, 0, 1400)])
    assert table.jobs.present() == []
    assert table.go(1, reading(7, 100)) == {(7, 0): (0, 0)}
    table.jobs = JobTable.from_state(json.loads(json.dumps(table.jobs.to_state())), journal)
    assert table.go(1, reading(7, 100)) == {(7, 0): (0, 0)}
    table.go(1, reading(7, 101))
    assert table.jobs.present() == [(7, 0)], "it was another run after all"


def test_a_job_that_was_announced_is_never_closed_by_an_earlier_end(table):
    table.at_s = 5000
    table.go(1, event("begin", 7, 5000.5), reading(7, 1))
    for _ in range(70):
        table.go(10, reading(7, 1))
    table.jobs.end_from_slurm([(7, 0, 1400)])
    assert table.jobs.present() == [(7, 0)]


@pytest.mark.parametrize("restart", [False, True])
def test_a_left_over_group_that_is_used_again_counts_from_there(table, journal, restart):
    group = reading(7, 18_000)
    table.go(1, left=[group], all_s=18_000)
    assert table.go(1, left=[group], all_s=18_000) == {}
    if restart:
        state = json.loads(json.dumps(table.jobs.to_state()))
        table.jobs = JobTable.from_state(state, journal)
    seen = table.go(1, event("begin", 7, 2.5), reading(7, 18_000.5), all_s=18_000.5)
    assert seen == {(7, 0): (0.5, 0.5)}
    # Had it counted from zero, the balance would hide what is used from now on.
    assert table.go(1, event("end", 7, 4), all_s=18_001.5) == {(7, 0): (1, 1)}


def test_a_job_whose_last_process_is_gone_is_over_though_its_group_stays(table):
    table.go(1, event("begin", 7, 0), reading(7, 1), reading(8, 1, inode=2))
    group = [reading(7, 2), reading(8, 1, inode=2)]
    table.go(1, reading(7, 2), event("end", 7, 1.5), left=group[1:])
    table.go(1, left=group)
    assert list(table.jobs) == []
    assert table.go(1, left=group) == {}


def test_of_several_ends_the_first_after_the_begin_counts(table):
    table.at_s = 5000
    table.go(10, event("begin", 7, 5000.5))
    table.jobs.end_from_slurm([(7, 0, 4900), (7, 0, 5004), (7, 0, 5008)])
    assert table.jobs.latest(7).end_ns == 5004 * NS


def test_a_run_that_lost_its_group_fades_until_its_end_is_known_or_the_group_is_back(table):
    table.go(1, event("begin", 7, 0), event("begin", 8, 0), reading(7, 1))
    fading = []
    for seen in ((reading(7, 2),), (), (reading(7, 1, inode=2),), (), (event("end", 7, 5.5),)):
        table.go(1, *seen)
        fading.append(table.stays[7, 0].fading)
        assert not table.stays[8, 0].fading, "it never had a group"
    assert fading == [False, True, False, True, False]


# What a job has
