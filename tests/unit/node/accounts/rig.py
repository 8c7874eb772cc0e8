"""A metering and the world that it looks at, turned by hand."""

from __future__ import annotations

import json

from carbonsched.model.energy import EnergySegment, PartKind
from carbonsched.node.accounts.metering import Metering
from carbonsched.node.journal import Journal
from carbonsched.node.observation import NodeSettings, Observation
from carbonsched.node.presence.cgroups import CgroupSample, CpuReading
from carbonsched.node.presence.events import Event, EventKind

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


def parts(segment):
    return {
        "idle" if one.kind is PartKind.IDLE else one.job_id or "system": one.energy_j
        for one in segment.parts
    }
