"""States written by the agent of version 1 (``states/``, by its own code), taken over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carbonsched.model.energy import Domain, EnergySegment, PartKind, Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.node.accounts.metering import Metering
from carbonsched.node.mark_format import Mark
from carbonsched.node.meters.find import find_panel
from carbonsched.node.observation import NodeSettings, Observation
from carbonsched.node.presence.cgroups import CgroupSample, CpuReading
from carbonsched.site import AgentSite, NodeClass

NS = 1_000_000_000
STATES = Path(__file__).parent / "states"
CLASS = NodeClass(nodes="n1", cpus=8, idle_w=60, max_w=240)
NODE = NodeSettings(
    cluster="lab", node="n1", boot_id="boot-1", cpus=8, sample_s=1.0, segment_s=10, idle_w=60
)


class Upgraded:
    """An agent of today on the state of yesterday's."""

    def __init__(self, name, tree, journal):
        self.before = json.loads((STATES / name).read_text())
        self.wall, self.steady, _, self.busy = self.before["last"]
        self.panel = find_panel("n1", CLASS, AgentSite(), tree.sysfs, journal)
        self.metering = Metering(NODE, self.panel, journal, self.wall)
        self.metering.load(self.before)
        self.cpu_ns = self.before["jobs"][0]["cpu_ns"]

    def go(self, seconds, cpu_s):
        self.wall += seconds * NS
        self.steady += seconds * NS
        self.cpu_ns += cpu_s * NS
        self.busy += cpu_s * NS
        self.metering.advance(
            Observation(
                wall_ns=self.wall, steady_ns=self.steady, meters=self.panel.read(self.steady),
                cgroups=CgroupSample((CpuReading(7, 1000, self.cpu_ns, 42),)), events=(),
                node_cpu_ns=self.busy,
            )
        )  # fmt: skip

    def known_before(self):
        """Microjoules in the old state, closed and open."""
        closed = sum(wire["total_j"] for _, wire in self.before["closed"]) * 10**6
        book = self.before["segments"]
        held = sum(tally[3] for one in book["open"] for tally in one["tallies"])
        return closed + book["carry_uj"] + held

    def known_now(self):
        book = json.loads(json.dumps(self.metering.to_state()["segments"]))
        held = sum(
            cell[1] for one in book["open"] for tally in one["tallies"] for cell in tally[-1]
        )
        whole = sum(one.total_j for one in self.segments) * 10**6
        return whole + sum(left[4] for left in book["carry"]) + held

    @property
    def segments(self):
        return [one for one in self.metering.closed if isinstance(one, EnergySegment)]


def test_a_rapl_node_upgraded_in_mid_job_loses_nothing(tree, journal):
    tree.zone("intel-rapl:0", "package-0", 426_728_398 + 90_000_001)
    tree.zone("intel-rapl:0:0", "dram", 56_700_042 + 12_000_002)
    node = Upgraded("v1-rapl.json", tree, journal)
    node.go(3, 6)
    assert node.known_now() == node.known_before() + 102_000_003
    tree.zone("intel-rapl:0", "package-0", 426_728_398 + 190_000_001)
    node.go(6, 6)
    assert node.known_now() == node.known_before() + 202_000_003
    first, second = node.segments
    assert first.to_wire() == EnergySegment.from_wire(node.before["closed"][0][1]).to_wire()
    assert (second.start_at, second.end_at, second.quality) == (1010, 1020, Quality.PARTIAL)
    assert second.meter == "rapl(package-0, package-0 dram)"
    (job,) = [part for part in second.parts if part.kind is PartKind.JOB]
    assert set(job.domains) == {Domain.CPU, Domain.MEMORY}
    assert (job.job_id, job.uid, job.present_ms) == (7, 1000, 10_000)


def test_a_modelled_node_goes_on_and_so_does_its_open_epoch(tree, journal):
    node = Upgraded("v1-model.json", tree, journal)
    node.go(4, 32)  # all CPUs busy: the declared maximum
    assert node.known_now() == node.known_before() + 4 * 240 * 10**6
    end = Mark(start=False, epoch=1, epochs=3, steps=0, step_relative_sd=None)
    node.metering.mark(node.metering.jobs.latest(7), 1000, end)
    (epoch,) = [one for one in node.metering.closed if isinstance(one, EpochRecord)]
    assert (epoch.duration_ms, epoch.quality) == (6_000, Quality.MODELLED)
    # Twice 75 W in the old agent; now half of 60 W idle and all of what is beyond.
    assert epoch.energy_millij == 2 * 75_000 + 4 * (30_000 + 180_000)
    node.go(2, 0)
    assert node.segments[-1].quality is Quality.MODELLED
    (job,) = [part for part in node.segments[-1].parts if part.kind is PartKind.JOB]
    assert list(job.domains) == [Domain.NODE]


def test_a_state_of_a_later_version_is_refused(tree, journal):
    node = Upgraded("v1-model.json", tree, journal)
    with pytest.raises(ValueError, match="of a later agent"):
        node.metering.load(node.before | {"version": 9})
