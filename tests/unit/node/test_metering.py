from __future__ import annotations

import io
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.errors import MeterError
from carbonsched.model.energy import EnergySegment, EpochRecord, PartKind, Quality
from carbonsched.node.cgroups import CpuReading
from carbonsched.node.epoch_book import Mark
from carbonsched.node.events import Event, EventKind
from carbonsched.node.journal import Journal
from carbonsched.node.metering import Metering, NodeSettings, Observation
from carbonsched.node.meters import ModelMeter
from carbonsched.node.rapl import RaplMeter, _Zone
from carbonsched.site import NodeClass

NS = 1_000_000_000
START = 1_000 * NS


def node(boot="boot-1", segment_s=10):
    return NodeSettings(
        cluster="lab", node="n1", boot_id=boot, cpus=8, sample_s=1.0, segment_s=segment_s
    )


def model():
    return ModelMeter(NodeClass(nodes="n1", cpus=8, idle_w=60, max_w=240))


class Rig:
    """A metering and the world that it looks at."""

    def __init__(self, meter, log, **settings):
        self.meter = meter
        self.journal = Journal("agent", log)
        self.wall, self.steady, self.uj, self.busy = START, 50 * NS, 0, 0
        self.jobs: dict[int, CpuReading] = {}
        self.metering = Metering(node(**settings), meter, self.journal, self.wall)

    def see(self, *events):
        self.metering.advance(
            Observation(
                wall_ns=self.wall,
                steady_ns=self.steady,
                counters={"uj": self.uj},
                readings=tuple(self.jobs.values()),
                events=events,
                node_cpu_ns=self.busy,
            )
        )

    def go(self, seconds, *events, uj=0):
        self.wall += round(seconds * NS)
        self.steady += round(seconds * NS)
        self.uj += uj
        self.see(*events)

    def run(self, job_id, cpu_s, inode=1):
        before = self.jobs[job_id].cpu_ns if job_id in self.jobs else 0
        self.jobs[job_id] = CpuReading(job_id, 1000, before + round(cpu_s * NS), inode)
        self.busy += round(cpu_s * NS)

    def restart(self, **settings):
        """What a killed agent's successor knows."""
        state = json.loads(json.dumps(self.metering.to_state()))
        self.metering = Metering(node(**settings), self.meter, self.journal, self.wall)
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
def rig(log):
    rig = Rig(model(), log)
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


def test_measured_energy_has_a_system_part_and_learns_the_idle_power(log, steady_meter):
    rig = Rig(steady_meter(static_w=None), log)
    rig.see(rig.begin(7, cpus=4))
    rig.go(1, uj=40_000_000)  # idle: the lowest power seen
    for _ in range(9):
        rig.run(7, 3)
        rig.busy += NS
        rig.go(1, uj=140_000_000)
    (segment,) = rig.segments
    assert (segment.total_j, segment.quality) == (40 + 9 * 140, Quality.MEASURED)
    assert parts(segment) == {7: 200 + 675, "idle": 200, "system": 225}


def test_a_job_that_nobody_announced_makes_a_measured_segment_partial(log, steady_meter):
    rig = Rig(steady_meter(), log)
    rig.see()
    rig.run(7, 1)
    rig.go(10, uj=100)
    assert rig.segments[0].quality is Quality.PARTIAL


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


def test_a_measured_gap_is_marked_partial(log, steady_meter):
    rig = Rig(steady_meter(), log)
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


def test_another_meter_closes_what_was_open(rig):
    rig.go(3)
    rig.meter = ModelMeter(NodeClass(nodes="n1", cpus=8, idle_w=100, max_w=240))
    rig.restart()
    rig.go(4)
    rig.go(3)
    assert [(one.start_at, one.end_at, one.total_j) for one in rig.segments] == [
        (1000, 1003, 180),
        (1003, 1010, 300),
    ]


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


def test_a_clock_set_forward_counts_only_the_time_that_passed(rig, log):
    rig.go(5, rig.begin(7, cpus=8))
    rig.wall += 3600 * NS
    rig.go(1)
    rig.go(9)
    assert sum(one.total_j for one in rig.close()) == 15 * 60
    assert [one.start_at for one in rig.segments] == [1000, 4600, 4610]
    assert "the clock went forward by 3600.0 s" in log.getvalue()


def test_counters_that_cannot_be_compared_change_nothing(log):
    rig = Rig(RaplMeter((_Zone("uj", "nowhere", 10**12),), None), log)
    rig.uj = 10**13
    rig.see()
    rig.uj = 5
    before = rig.metering.to_state()
    with pytest.raises(MeterError):
        rig.go(1, rig.begin(7))
    assert rig.metering.to_state() == before


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


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["go", "go", "go", "begin", "end", "cgroup", "vanish", "restart", "back"]),
        st.integers(1, 4),
        st.integers(0, 25_000),
        st.integers(0, 3_000_000_000),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_every_microjoule_of_any_history_ends_in_exactly_one_segment(steps):
    rig = Rig(_counter(), io.StringIO())
    rig.see()
    start = rig.uj
    for what, job_id, amount, uj in steps:
        events = []
        if what == "begin":
            events.append(rig.begin(job_id, restarts=amount % 2))
        elif what == "end":
            events.append(rig.end(job_id, restarts=amount % 2))
        elif what == "cgroup":
            rig.run(job_id, amount / 1000, inode=amount)
        elif what == "vanish":
            rig.jobs.pop(job_id, None)
        elif what == "restart":
            rig.restart()
        elif what == "back":
            rig.wall -= amount * 1_000_000
        rig.go(max(amount, 1) / 1000, *events, uj=uj)
    segments = rig.close()
    state = rig.metering.to_state()["segments"]
    held = sum(tally[3] for one in state["open"] for tally in one["tallies"])
    posted = sum(one.total_j for one in segments)
    assert posted * 1_000_000 + state["carry_uj"] + held == rig.uj - start
    assert len({one.start_at for one in segments}) == len(segments)
    for before, after in pairwise(segments):
        assert before.end_at <= after.start_at
    for one in segments:
        assert EnergySegment.from_wire(json.loads(json.dumps(one.to_wire()))) == one


def _counter():
    class Counter:
        name, quality, sees_system, longest_gap_ns = "c", Quality.MEASURED, True, 10**15

        def read(self):
            return {}

        def total_uj(self, before, after, _length_ns, _jobs_cpu_ns):
            return after["uj"] - before["uj"]

        def static_uj(self, _length_ns):
            return None

    return Counter()


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
