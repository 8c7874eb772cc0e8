from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from carbonsched.model.energy import Domain, PartKind, Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.node.accounts.metering import Metering
from carbonsched.node.mark_format import Mark

from .rig import NS, START, Rig, node, parts


def test_the_model_divides_idle_and_busy_power(rig):
    rig.go(1)
    for second in range(9):
        rig.run(7, 2)
        rig.go(1, *([rig.begin(7)] if second == 0 else []))
    (segment,) = rig.segments
    assert (segment.start_at, segment.end_at) == (1000, 1010)
    assert (segment.total_j, segment.quality) == (600 + 9 * 45, Quality.MODELLED)
    assert parts(segment) == {7: 9 * 30 + 9 * 45, "idle": 330}
    part = next(one for one in segment.parts if one.kind is PartKind.JOB)
    assert (part.cpu_ms, part.present_ms, part.uid, part.restarts) == (18_000, 9_000, 1000, 0)


def test_segments_follow_the_grid_and_a_stop_closes_early(rig):
    rig.go(4.5)
    rig.go(8)
    assert [(one.start_at, one.end_at, one.total_j) for one in rig.close()] == [
        (1000, 1010, 600),
        (1010, 1013, 150),
    ]
    rig.go(0.25)  # within the second that the early close took
    rig.close()
    assert len(rig.segments) == 2
    rig.restart()
    rig.go(7.25)
    assert [(one.start_at, one.end_at) for one in rig.segments[2:]] == [(1013, 1020)]
    assert sum(one.total_j for one in rig.segments) == 60 * 20


def test_measured_energy_has_a_system_part_and_learns_the_idle_power(log, steady_panel):
    rig = Rig(steady_panel(static_w=None), log)
    rig.see(rig.begin(7, cpus=4))
    for _ in range(10):
        rig.go(1, uj=40_000_000)  # idle: the lowest power seen
    for _ in range(10):
        rig.run(7, 3)
        rig.busy += NS
        rig.go(1, uj=140_000_000)
    idle, busy = rig.segments
    assert parts(idle) == {7: 200, "idle": 200}
    assert (busy.total_j, busy.quality) == (1400, Quality.MEASURED)
    assert parts(busy) == {7: 200 + 750, "idle": 200, "system": 250}


def test_a_job_that_nobody_announced_makes_a_measured_segment_partial(log, steady_panel):
    rig = Rig(steady_panel(), log)
    rig.see()
    rig.run(7, 1)
    rig.go(10, uj=100)
    assert rig.segments[0].quality is Quality.PARTIAL


def test_a_job_whose_cpu_time_nobody_counts_is_partial(log, steady_panel):
    """Version 1 with another JobAcctGatherType than cgroup: its work looks like the system's."""
    rig = Rig(steady_panel(), log)
    rig.see(rig.begin(7, cpus=8))
    for _ in range(60):
        rig.busy += 8 * NS
        rig.go(1, uj=260_000_000)
    last = rig.segments[-1]
    assert parts(last) == {7: 500, "system": 2100}
    qualities = {part.kind: part.quality for part in last.parts}
    assert (qualities[PartKind.JOB], last.quality) == (Quality.PARTIAL, Quality.PARTIAL)
    assert log.getvalue().count("\n") == 1


def test_a_killed_agents_gap_is_recovered_over_the_grid(rig):
    rig.go(3, rig.begin(7, cpus=8))
    rig.restart()
    rig.run(7, 70)
    rig.go(35)  # 1003 to 1038
    assert [one.start_at for one in rig.segments] == [1000, 1010, 1020]
    rig.go(2)
    segments = rig.segments
    assert sum(one.total_j for one in segments) == 40 * 60 + 70 * 180 // 8
    assert sum(parts(one).get(7, 0) for one in segments) == 40 * 60 + 70 * 180 // 8
    assert {one.quality for one in segments} == {Quality.MODELLED}


def test_a_measured_gap_is_marked_partial(log, steady_panel):
    rig = Rig(steady_panel(), log)
    rig.see()
    rig.go(2, uj=1000)
    rig.restart()
    rig.go(3, uj=5_000_000)
    rig.go(5, uj=5_000_000)
    rig.go(10, uj=5_000_000)
    rig.go(1)
    assert [one.quality for one in rig.segments] == [Quality.PARTIAL, Quality.PARTIAL]
    rig.go(4)
    rig.go(5)
    rig.go(5)
    assert rig.segments[-1].quality is Quality.MEASURED


def test_a_gap_too_long_to_compare_counters_is_missing_and_never_guessed(rig, log):
    rig.go(3, rig.begin(7))
    rig.go(5000)
    rig.go(2)
    (before, after) = rig.close()
    assert (before.start_at, before.end_at, before.total_j) == (1000, 1003, 180)
    assert (after.start_at, after.total_j) == (6003 - 3, 120)
    assert "too long since the last sample" in log.getvalue()


def test_a_boot_forgets_jobs_and_counters(rig):
    rig.go(3, rig.begin(7))
    rig.go(1)
    rig.restart(boot="boot-2")
    rig.steady = 5 * NS
    rig.wall += 60 * NS
    rig.see()
    rig.go(6)
    first, second = rig.segments
    assert (first.start_at, first.end_at) == (1000, 1004)
    assert (second.start_at, parts(second)) == (1060, {"idle": 360})


def test_another_panel_goes_on_with_what_both_know(log, steady_panel):
    rig = Rig(steady_panel(), log)
    rig.see()
    rig.go(3, uj=5_000_000)
    rig.panel = steady_panel(name="counter and GPUs")
    rig.restart()
    rig.go(4, uj=6_000_000, gpu=9_000_000)  # a GPU's first reading only says where it begins
    rig.go(3, uj=7_000_000, gpu=4_000_000)
    rig.go(1)
    (segment,) = rig.segments
    assert (segment.start_at, segment.end_at, segment.total_j) == (1000, 1010, 22)
    assert (segment.meter, segment.quality) == ("counter", Quality.PARTIAL)
    assert Counter(sum((Counter(part.domains) for part in segment.parts), Counter())) == {
        Domain.CPU: 18, Domain.GPU: 4,
    }  # fmt: skip
    rig.go(10, uj=1_000_000)
    assert rig.segments[1].meter == "counter and GPUs"


def test_other_segments_close_what_was_open_and_lose_nothing(log, steady_panel):
    rig = Rig(steady_panel(), log)
    rig.see()
    rig.go(3, uj=5_000_000)
    rig.restart(segment_s=4)
    rig.go(2, uj=2_000_000)
    rig.go(1)
    rig.go(4, uj=1_000_000)
    assert [(one.start_at, one.end_at, one.total_j) for one in rig.close()] == [
        (1000, 1003, 5), (1003, 1004, 1), (1004, 1008, 2), (1008, 1010, 0),
    ]  # fmt: skip


def test_a_clock_set_back_never_reopens_a_closed_segment(rig, log):
    rig.go(12)
    rig.wall -= 3600 * NS
    for _ in range(30):
        rig.go(1)
    assert [one.start_at for one in rig.segments] == [1000]
    rig.wall += 3600 * NS - 30 * NS
    rig.go(8)
    assert [(one.start_at, one.end_at) for one in rig.segments] == [(1000, 1010), (1010, 1020)]
    assert sum(one.total_j for one in rig.segments) == 50 * 60
    assert log.getvalue().count("the clock went back by") == 1
    assert max(part.present_ms for one in rig.segments for part in one.parts) <= 10_000


def test_a_clock_ahead_at_the_first_start_takes_its_first_seconds_back_with_it(log, linear_panel):
    """An RTC in local time: hours ahead until the network's time is known."""
    rig = Rig(linear_panel(), log)
    rig.wall += 7200 * NS
    rig.metering = Metering(node(), rig.panel, rig.journal, rig.wall)
    rig.see()
    rig.go(1)
    begin = rig.begin(7, cpus=8)
    for _ in range(3):
        rig.run(7, 8)
        rig.go(1, begin)
    rig.wall -= 7200 * NS
    rig.restart()  # killed in between: its successor knows that nothing is closed yet
    for _ in range(7):
        rig.go(1)
    first, *_ = rig.segments
    assert (first.start_at, first.end_at) == (1000, 1010)
    assert first.total_j == 10 * 60 + 3 * 180
    assert [part.present_ms for part in first.parts if part.job_id == 7] == [9_000]
    rig.wall -= 3600 * NS  # once more, but now there is something that must not change
    for _ in range(20):
        rig.go(1)
    assert [one.start_at for one in rig.segments] == [1000]


def test_a_clock_put_right_before_the_first_sample_leaves_nothing_ahead(log, linear_panel):
    rig = Rig(linear_panel(), log)
    rig.metering = Metering(node(), rig.panel, rig.journal, rig.wall + 7200 * NS)
    rig.see()
    rig.go(10)
    assert [(one.start_at, one.total_j) for one in rig.segments] == [(1000, 600)]


def test_a_clock_set_forward_counts_only_the_time_that_passed(rig, log):
    rig.go(5, rig.begin(7, cpus=8))
    rig.wall += 3600 * NS
    rig.go(1)
    rig.go(9)
    assert sum(one.total_j for one in rig.close()) == 15 * 60
    assert [one.start_at for one in rig.segments] == [1000, 4600, 4610]
    assert "the clock went forward by 3600.0 s" in log.getvalue()


def test_an_ended_job_whose_group_stays_is_told_no_more(rig):
    rig.run(7, 1)
    rig.go(1, rig.begin(7))
    rig.go(1, rig.end(7))
    for _ in range(28):
        rig.go(1)  # a process that cannot be killed: the group is not empty
    assert [7 in parts(one) for one in rig.segments] == [True, False, False]
    assert rig.metering.totals.job_w == {}


def test_an_epoch_has_the_energy_of_exactly_its_interval(rig):
    rig.go(1, rig.begin(7, cpus=8))
    start = Mark(start=True, epoch=1, epochs=5, steps=0, step_relative_sd=None)
    ends_us = (1_000_000, 3_000_000, 4_250_000)
    end = replace(start, start=False, steps=3, part_ends_us=ends_us)
    rig.go(0.5)
    job = rig.metering.jobs.latest(7)
    rig.metering.mark(job, 1000, start)
    for cpu_s in (4, 8, 4, 8):
        rig.run(7, cpu_s)
        rig.go(1)
    rig.restart()
    rig.run(7, 2)
    rig.go(0.25)
    rig.metering.mark(rig.metering.jobs.latest(7), 1000, end)
    (epoch,) = [one for one in rig.metering.closed if isinstance(one, EpochRecord)]
    assert (epoch.epoch, epoch.epochs, epoch.uid) == (1, 5, 1000)
    assert (epoch.started_ms, epoch.duration_ms) == (1_001_500, 4_250)
    assert epoch.energy_millij == 1000 * (4.25 * 60 + 26 * 180 / 8)
    assert [one.duration_ms for one in epoch.parts] == [1_000, 2_000, 1_250]
    assert [one.energy_millij for one in epoch.parts] == [150_000, 390_000, 300_000]
    assert epoch.samples == 4
    assert epoch.relative_sd == pytest.approx(51.96 / 195, rel=0.01)
    assert EpochRecord.from_wire(json.loads(json.dumps(epoch.to_wire()))) == epoch


def test_a_state_that_is_not_one_is_refused(rig):
    state = rig.metering.to_state()
    with pytest.raises(ValueError, match="state of node 'n2'"):
        rig.metering.load(state | {"node": "n2"})
    with pytest.raises(KeyError):
        rig.metering.load({})


@pytest.mark.parametrize(
    ("late_s", "duration_ms", "millij"),
    [(0.25, 2750, 412_500), (1.5, 2000, 300_000), (9, 3000, 450_000)],
)
def test_a_mark_that_was_late_counts_when_it_was_sent(rig, late_s, duration_ms, millij):
    rig.see()
    start, end = (
        Mark(start=first, epoch=1, epochs=None, steps=0, step_relative_sd=None, at_ns=at)
        for first, at in ((True, START + NS), (False, START + 4 * NS - round(late_s * NS)))
    )
    rig.go(1, rig.begin(7, cpus=8))
    rig.metering.mark(rig.metering.jobs.latest(7), 1000, start)
    rig.run(7, 8)
    rig.go(2)
    rig.run(7, 4)
    rig.go(1)
    rig.metering.mark(rig.metering.jobs.latest(7), 1000, end)
    (epoch,) = [one for one in rig.metering.closed if isinstance(one, EpochRecord)]
    assert (epoch.duration_ms, epoch.energy_millij) == (duration_ms, millij)


def test_marks_that_were_sent_before_a_sample_need_no_other(rig):
    """As the end of an epoch and the start of the next one, where the agent came to them late."""
    rig.see()
    rig.go(1, rig.begin(7, cpus=8))
    first = Mark(start=True, epoch=1, epochs=2, at_ns=START + NS)
    rig.metering.mark(rig.metering.jobs.latest(7), 1000, first)
    rig.run(7, 8)
    rig.go(2)
    sent = [
        Mark(start=start, epoch=epoch, epochs=2, at_ns=START + round(at_s * NS), **more)
        for start, epoch, at_s, more in (
            (False, 1, 2.0, {}),
            (True, 2, 2.5, {}),
            (False, 2, 4.0, {"steps": 1, "part_ends_us": (1_500_000,)}),
        )
    ]
    assert [rig.metering.covers(7, one.at_ns) for one in sent] == [True, True, False]
    for mark in sent[:2]:
        rig.metering.mark(rig.metering.jobs.latest(7), 1000, mark)
    rig.run(7, 8)
    rig.go(1)
    rig.metering.mark(rig.metering.jobs.latest(7), 1000, sent[2])
    epochs = [one for one in rig.metering.closed if isinstance(one, EpochRecord)]
    assert [(one.started_ms, one.duration_ms) for one in epochs] == [
        (1_001_000, 1_000),
        (1_002_500, 1_500),
    ]
    # 60 W idle, and of a CPU second 180 / 8 J: 150 W for two seconds, 240 W for the third.
    assert [one.energy_millij for one in epochs] == [150_000, 75_000 + 240_000]
    assert [part.duration_ms for part in epochs[1].parts] == [1_500]


def test_a_mark_needs_a_sample_if_none_is_after_it_or_its_job_or_interval_is_not_known(rig):
    assert not rig.metering.covers(7, START)
    rig.see()
    rig.go(1, rig.begin(7))
    now_ns = START + NS
    told = [rig.metering.covers(7, at_ns) for at_ns in (None, START, START + 1, now_ns, now_ns + 1)]
    assert told == [False, False, True, True, False]
    assert not rig.metering.covers(8, now_ns)
    rig.restart()
    assert not rig.metering.covers(7, now_ns)


def test_a_job_with_a_doubtful_allocation_is_partial_and_the_others_are_not(log, steady_panel):
    rig = Rig(steady_panel(), log)
    rig.see(rig.begin(7))
    for _ in range(10):
        rig.run(7, 1)
        rig.run(8, 1, inode=2)  # without a word from the prolog
        rig.go(1, uj=100_000_000)
    (segment,) = rig.segments
    assert {part.job_id: part.quality for part in segment.parts} == {
        7: Quality.MEASURED, 8: Quality.PARTIAL, None: Quality.MEASURED,
    }  # fmt: skip
    assert segment.quality is Quality.PARTIAL


def test_a_job_that_may_be_over_takes_no_idle_power_from_one_that_has_the_whole_node(rig):
    """Its epilog was lost and Slurm has given its CPUs away."""
    rig.run(6, 1)
    rig.go(1, rig.begin(6, cpus=2))
    del rig.jobs[6]
    rig.go(4)
    rig.run(7, 0, inode=2)
    rig.go(1, rig.begin(7, cpus=8))
    for _ in range(4):
        rig.run(7, 0)
        rig.go(1)
    (segment,) = rig.segments
    found = parts(segment)
    assert (found[7], found["idle"]) == (5 * 60, 5 * 45)
    assert found[6] == segment.total_j - 525, "15 W while nobody needed its CPUs"


def test_a_suspended_job_has_no_cpu_energy_until_it_goes_on(log, steady_panel):
    rig = Rig(steady_panel(), log)
    rig.see(rig.begin(7, cpus=4))
    for second in range(10):
        if second < 2:
            rig.run(7, 1)
        else:
            rig.jobs[7] = replace(rig.jobs[7], suspended=True)
            rig.busy += NS
        rig.go(1, uj=150_000_000)
    (segment,) = rig.segments
    # The sample in which it was stopped still counts its allocation, as nobody knows when it was.
    assert parts(segment) == {7: 2 * 125 + 25, "idle": 3 * 25 + 7 * 50, "system": 800}
