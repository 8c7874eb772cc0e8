from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from carbonsched.model.energy import Domain, EnergySegment, EpochRecord, PartKind, Quality
from carbonsched.node.accounts.metering import Metering
from carbonsched.node.epoch_book import Mark
from carbonsched.node.journal import Journal
from carbonsched.node.meters.meter import Gpu
from carbonsched.node.meters.model import ModelledGpus
from carbonsched.node.observation import NodeSettings, Observation
from carbonsched.node.presence.cgroups import CgroupSample, CpuReading
from carbonsched.node.presence.events import Event, EventKind
from carbonsched.site import NodeClass

NS = 1_000_000_000
START = 1_000 * NS


def node(boot="boot-1", segment_s=10):
    return NodeSettings(
        cluster="lab", node="n1", boot_id=boot, cpus=8, sample_s=1.0, segment_s=segment_s
    )


class Rig:
    """A metering and the world that it looks at."""

    def __init__(self, panel, log, **settings):
        self.panel = panel
        self.journal = Journal("agent", log)
        self.wall, self.steady, self.busy = START, 50 * NS, 0
        self.counters = {"cpu/package-0": 0}
        self.jobs: dict[int, CpuReading] = {}
        self.metering = Metering(node(**settings), panel, self.journal, self.wall)

    def see(self, *events):
        return self.metering.advance(
            Observation(
                wall_ns=self.wall,
                steady_ns=self.steady,
                meters={"counter": dict(self.counters)},
                cgroups=CgroupSample(tuple(self.jobs.values())),
                events=events,
                node_cpu_ns=self.busy,
            )
        )

    def go(self, seconds, *events, uj=0, **more):
        self.wall += round(seconds * NS)
        self.steady += round(seconds * NS)
        self.counters["cpu/package-0"] += uj
        for name, added in more.items():
            self.counters[f"{name}/{name}"] = self.counters.get(f"{name}/{name}", 0) + added
        self.see(*events)

    def run(self, job_id, cpu_s, inode=1):
        before = self.jobs[job_id].cpu_ns if job_id in self.jobs else 0
        self.jobs[job_id] = CpuReading(job_id, 1000, before + round(cpu_s * NS), inode)
        self.busy += round(cpu_s * NS)

    def restart(self, **settings):
        """What a killed agent's successor knows."""
        state = json.loads(json.dumps(self.metering.to_state()))
        self.metering = Metering(node(**settings), self.panel, self.journal, self.wall)
        self.metering.load(state)

    def begin(self, job_id, cpus=4, restarts=0):
        return self._event(EventKind.BEGIN, job_id, cpus, restarts)

    def end(self, job_id, restarts=0):
        return self._event(EventKind.END, job_id, None, restarts)

    def _event(self, kind, job_id, cpus, restarts):
        return Event(
            name=f"{kind}.{job_id}", kind=kind, at_ns=self.wall, job_id=job_id,
            restarts=restarts, uid=1000, cpus=cpus,
        )  # fmt: skip

    @property
    def segments(self):
        return [one for one in self.metering.closed if isinstance(one, EnergySegment)]

    def close(self):
        self.metering.close_early()
        return self.segments


@pytest.fixture
def rig(log, linear_panel):
    rig = Rig(linear_panel(), log)
    rig.see()
    return rig


def parts(segment):
    return {
        "idle" if one.kind is PartKind.IDLE else one.job_id or "system": one.energy_j
        for one in segment.parts
    }


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
    end = Mark(start=False, epoch=1, epochs=5, steps=0, step_relative_sd=None)
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


GPUS = (Gpu(device="GPU-a", index=0), Gpu(device="GPU-b", index=1))


@pytest.fixture
def gpu_rig(log, steady_panel):
    rig = Rig(steady_panel(inventory=GPUS, qualities={"gpu/GPU-b": Quality.SAMPLED}), log)
    rig.counters |= {"gpu/GPU-a": 0, "gpu/GPU-b": 0}
    rig.see()
    return rig


def gpu_second(rig, *events, a=0, b=0, uj=0):
    rig.counters["gpu/GPU-a"] += a
    rig.counters["gpu/GPU-b"] += b
    rig.go(1, *events, uj=uj)


def test_one_job_of_two_has_its_own_gpu_and_nobody_elses(gpu_rig):
    gpu_second(
        gpu_rig,
        replace(gpu_rig.begin(7, cpus=2), gpus="1"),
        replace(gpu_rig.begin(8, cpus=2), name="begin.8"),
        a=30_000_000, b=50_000_000, uj=60_000_000,
    )  # fmt: skip
    for _ in range(9):
        gpu_rig.run(8, 1)
        gpu_second(gpu_rig, a=30_000_000, b=250_000_000, uj=70_000_000)
    (segment,) = gpu_rig.segments
    by_job = {part.job_id: part for part in segment.parts}
    assert by_job[7].domains[Domain.GPU] == 50 + 9 * 250
    assert Domain.GPU not in by_job[8].domains
    (idle,) = [part for part in segment.parts if part.kind is PartKind.IDLE]
    assert idle.domains[Domain.GPU] == 300
    assert (by_job[7].quality, by_job[8].quality) == (Quality.SAMPLED, Quality.MEASURED)
    # A quarter of the CPUs, and one of two GPUs in the mean with it.
    assert (by_job[7].node_ms, by_job[8].node_ms) == (3_750, 1_250)
    assert sum(part.node_ms for part in segment.parts) == 10_000
    totals = gpu_rig.metering.totals
    assert (
        sum(totals.node_uj.values()) == sum(totals.consumed_uj.values()) == segment.total_j * 10**6
    )
    assert totals.node_uj[Domain.GPU, "GPU-b"] == 50_000_000 + 9 * 250_000_000
    assert totals.job_w == {7: pytest.approx(250 + 12.5), 8: pytest.approx(32.5)}


def test_a_lost_gpu_makes_its_own_jobs_figures_partial_and_nobody_elses(gpu_rig):
    gpu_rig.panel.qualities["gpu/GPU-b"] = Quality.PARTIAL
    gpu_second(
        gpu_rig,
        replace(gpu_rig.begin(7), gpus="1"),
        replace(gpu_rig.begin(8), name="begin.8", gpus="0"),
    )
    for _ in range(9):
        gpu_second(gpu_rig, a=40_000_000, uj=60_000_000)
    qualities = {part.job_id: part.quality for part in gpu_rig.segments[0].parts if part.job_id}
    assert qualities == {7: Quality.PARTIAL, 8: Quality.MEASURED}


def test_a_job_whose_gpus_no_meter_sees_is_not_billed_as_measured(log, steady_panel):
    rig = Rig(steady_panel(), log)
    rig.see()
    begin, other = replace(rig.begin(7), gpus="0,1"), replace(rig.begin(8), name="begin.8")
    for _ in range(10):
        rig.run(7, 1)
        rig.run(8, 1, inode=2)
        rig.go(1, begin, other, uj=60_000_000)
    qualities = {part.job_id: part.quality for part in rig.segments[0].parts if part.job_id}
    assert qualities == {7: Quality.PARTIAL, 8: Quality.MEASURED}


def test_an_epoch_is_as_good_as_its_jobs_part(gpu_rig):
    gpu_second(gpu_rig, replace(gpu_rig.begin(7), gpus="1"))
    job = gpu_rig.metering.jobs.latest(7)
    marks = [
        Mark(start=first, epoch=1, epochs=None, steps=0, step_relative_sd=None)
        for first in (True, False)
    ]
    gpu_second(gpu_rig, b=1000)
    gpu_rig.metering.mark(job, 1000, marks[0])
    gpu_second(gpu_rig, b=9_000_000)
    gpu_rig.metering.mark(job, 1000, marks[1])
    (epoch,) = [one for one in gpu_rig.metering.closed if isinstance(one, EpochRecord)]
    assert (epoch.energy_millij, epoch.quality) == (9_000, Quality.SAMPLED)


def test_modelled_gpus_draw_more_than_idle_only_where_a_job_has_them(log, linear_panel):
    class Panel(linear_panel):
        def between(self, before, after, length_ns, busy_ns):
            gpus = ModelledGpus(NodeClass(nodes="n1", cpus=8, idle_w=0, max_w=0, gpus=2,
                                          gpu_idle_w=10, gpu_max_w=110))  # fmt: skip
            return (
                *super().between(before, after, length_ns, busy_ns),
                *gpus.between({}, {}, length_ns, busy_ns),
            )

    rig = Rig(Panel(inventory=(Gpu(device="gpu0", index=0), Gpu(device="gpu1", index=1))), log)
    rig.see(replace(rig.begin(7, cpus=8), gpus="1"))
    for _ in range(10):
        rig.go(1)
    (segment,) = rig.segments
    by_job = {part.job_id: part for part in segment.parts}
    assert by_job[7].domains == {Domain.NODE: 600, Domain.GPU: 600}
    assert by_job[None].domains == {Domain.GPU: 100}
    assert by_job[7].uncertainty_j == 150 + 500
    assert by_job[None].uncertainty_j == 0


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
