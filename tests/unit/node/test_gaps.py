"""From real meters to segments, over time in which some of the meters told nothing."""

from __future__ import annotations

import json

import pytest

from carbonsched.model.energy import Domain, PartKind, Quality
from carbonsched.node.accounts.metering import Metering
from carbonsched.node.meters import find
from carbonsched.node.observation import NodeSettings, Observation
from carbonsched.node.presence.cgroups import CgroupSample, CpuReading
from carbonsched.node.presence.events import Event, EventKind
from carbonsched.site import AgentSite, NodeClass

from .meters.machine import Cards

NS = 1_000_000_000
J = 1_000_000
CPU_W, GPU_W = 200, 600


class Rig:
    """A node with one package, or with the board's power meter, and two GPUs; job 7 has one."""

    def __init__(self, tree, journal, max_w=None):
        self.tree, self.journal = tree, journal
        self.node_class = (
            None if max_w is None else NodeClass(nodes="n1", cpus=8, idle_w=60, max_w=max_w)
        )
        self.cards = Cards({"GPU-a": 0, "GPU-b": 0}, longest_gap_ns=30 * 86_400 * NS)
        self.wall, self.steady = 1_000_000_200 * NS, 50 * NS
        self.passed_s = self.busy_ns = 0
        self.begin = Event(
            name="begin.7", kind=EventKind.BEGIN, at_ns=self.wall, job_id=7, restarts=0,
            uid=1000, cpus=4, gpus="0",
        )  # fmt: skip

    def start(self, state=None):
        self.panel = find.find_panel(
            "n1", self.node_class, AgentSite(), self.tree.sysfs, self.journal
        )
        node = NodeSettings(
            cluster="lab", node="n1", boot_id="b", cpus=8, sample_s=1.0, segment_s=60
        )
        self.metering = Metering(node, self.panel, self.journal, self.wall)
        if state is not None:
            self.metering.load(state)
        return self

    def board(self, watts):
        """Its power meter's reading, none if it fails."""
        folder = self.tree.sysfs / "class/hwmon/hwmon0"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text("power_meter\n")
        (folder / "power1_average").write_text("N/A\n" if watts is None else f"{watts * J}\n")

    def package(self):
        self.tree.zone("intel-rapl:0", "package-0", CPU_W * J * self.passed_s % 262_143_328_850)

    @property
    def jobs(self):
        return (CpuReading(7, 1000, self.busy_ns, 1),) if self.metering.jobs.present() else ()

    def see(self, *events):
        self.metering.advance(
            Observation(
                wall_ns=self.wall, steady_ns=self.steady, meters=self.panel.read(self.steady),
                cgroups=CgroupSample(self.jobs), events=events,
                node_cpu_ns=self.busy_ns,
            )
        )  # fmt: skip

    def pass_time(self, seconds):
        self.passed_s += seconds
        self.wall += seconds * NS
        self.steady += seconds * NS
        self.busy_ns += 4 * seconds * NS
        self.cards.joules = dict.fromkeys(self.cards.joules, GPU_W * self.passed_s)

    def down(self, seconds):
        """No agent for so long."""
        state = json.loads(json.dumps(self.metering.to_state()))
        self.panel.close()
        self.pass_time(seconds)
        self.package()
        self.start(state)

    def segments(self):
        self.metering.close_early()
        self.panel.close()
        return self.metering.closed


@pytest.fixture
def rig(tree, journal, monkeypatch):
    def make(**more):
        rig = Rig(tree, journal, **more)
        monkeypatch.setattr(find.NvmlMeter, "find", lambda *_where: rig.cards)
        return rig

    return make


def joules(segments):
    found = {}
    for segment in segments:
        assert sum(part.energy_j for part in segment.parts) == segment.total_j
        for part in segment.parts:
            for domain, energy_j in part.domains.items():
                found[domain] = found.get(domain, 0) + energy_j
    return found


def of_job(segments):
    return [one for segment in segments for one in segment.parts if one.kind is PartKind.JOB]


@pytest.mark.parametrize("max_w", [None, 240, 5000])
def test_an_agent_that_was_down_too_long_for_rapl_keeps_what_the_gpus_counted(rig, log, max_w):
    node = rig(max_w=max_w)
    node.package()
    node.start()
    node.see(node.begin)
    for _ in range(10):
        node.pass_time(1)
        node.package()
        node.see()
    node.down(400)
    node.see()
    for _ in range(10):
        node.pass_time(1)
        node.package()
        node.see()
    segments = node.segments()
    assert joules(segments) == {Domain.GPU: 2 * GPU_W * 420, Domain.CPU: CPU_W * 20}
    assert sum(one.domains[Domain.GPU] for one in of_job(segments)) == GPU_W * 420
    assert {one.quality for one in of_job(segments)} == {Quality.PARTIAL}
    assert "too long since" not in log.getvalue()


def test_beyond_what_any_meter_can_bridge_the_time_is_missing(rig, log):
    node = rig()
    node.cards.longest_gap_ns = 300 * NS
    node.package()
    node.start()
    node.see(node.begin)
    node.pass_time(1)
    node.see()
    node.down(400)
    node.see()
    assert [one.total_j for one in node.segments()] == [2 * GPU_W]
    assert "too long since" in log.getvalue()


@pytest.mark.parametrize(("away_s", "node_j"), [(60, 18_000), (2, 18_000), (61, 0)])
@pytest.mark.parametrize("with_job", [True, False])
def test_where_gpus_are_known_and_cpus_are_not_nothing_is_measured(rig, with_job, away_s, node_j):
    """Power that was not seen for up to a minute is made up for, less what the GPUs drew then."""
    node = rig()
    node.board(1500)
    node.start()
    node.see(*[node.begin][:with_job])
    for second in range(121):
        node.board(None if 60 <= second < 59 + away_s else 1500)
        node.pass_time(1)
        node.see()
    whole, half, *_ = node.segments()
    assert {one.quality for one in whole.parts} == {Quality.SAMPLED}
    assert joules([whole]) == {Domain.GPU: 60 * 2 * GPU_W, Domain.NODE: 60 * (1500 - 2 * GPU_W)}
    assert {one.quality for one in half.parts} == {half.quality} == {Quality.PARTIAL}
    found = joules([half])
    assert (found[Domain.GPU], found.get(Domain.NODE, 0)) == (60 * 2 * GPU_W, node_j)
