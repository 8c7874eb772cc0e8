"""Whatever happens on a node: jobs + idle + system = metered, in each domain, to the microjoule."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from carbonsched.model.energy import Domain, EnergySegment, PartKind, Quality
from carbonsched.node.accounts.metering import Metering
from carbonsched.node.journal import Journal
from carbonsched.node.meters.meter import Gpu
from carbonsched.node.observation import NodeSettings, Observation
from carbonsched.node.presence.cgroups import CgroupSample, CpuReading
from carbonsched.node.presence.events import Event, EventKind

NS = 1_000_000_000
J = 1_000_000
DEVICES = (
    "cpu/package-0", "cpu/package-1", "memory/dram", "gpu/GPU-a", "gpu/GPU-b", "rest/board",
)  # fmt: skip
GPUS = (Gpu(device="GPU-a", index=0), Gpu(device="GPU-b", index=1))


class World:
    """A node with its meters, jobs and disk, and an agent that may be killed at any moment."""

    def __init__(self, panel):
        self.panel = panel
        self.wall, self.steady = 1_000 * NS, 50 * NS
        self.boot, self.segment_s = 1, 10
        self.counters = dict.fromkeys(DEVICES, 0)
        self.lost = set()
        self.used, self.inodes, self.stopped, self.empty = {}, {}, set(), set()
        self.restarts = Counter()
        self.vanished_ns = self.system_ns = 0
        self.files, self.files_made = [], 0
        self.handled = set()
        self.disk_full = False
        self.disk = None
        self.daemon = {}
        self.metered = Counter()
        self.metering = self.anew()
        self.sample()
        self.keep()
        self.began = dict(self.counters)

    def anew(self):
        node = NodeSettings(
            cluster="lab", node="n1", boot_id=str(self.boot), cpus=8, sample_s=1.0,
            segment_s=self.segment_s, memory_mb=1000, idle_w=40,
        )  # fmt: skip
        return Metering(node, self.panel, Journal("agent", io.StringIO()), self.wall)

    def sample(self):
        seen = {name: uj for name, uj in self.counters.items() if name not in self.lost}
        readings = tuple(
            CpuReading(
                job, 1000, ns, self.inodes[job], memory_mb=200 if job % 2 else None,
                suspended=job in self.stopped,
            )
            for job, ns in self.used.items()
            if job not in self.empty
        )  # fmt: skip
        events = tuple(
            sorted(
                (one for one in self.files if one.name not in self.handled),
                key=lambda one: (one.at_ns, one.kind, one.name),
            )
        )
        left = {self.inodes[job]: ns for job, ns in self.used.items() if job in self.empty}
        all_ns = self.vanished_ns + sum(self.used.values())
        advanced = self.metering.advance(
            Observation(
                wall_ns=self.wall, steady_ns=self.steady, meters={"counter": seen},
                cgroups=CgroupSample(readings, all_ns, left=left), events=events,
                node_cpu_ns=all_ns + self.system_ns,
            )
        )  # fmt: skip
        if advanced:
            self.handled.update(one.name for one in events)
        return advanced

    def keep(self, killed=None):
        """What the agent does after a sample, killed in the middle of it or not."""
        if self.disk_full:
            return
        state = self.metering.to_state() | {"handled": sorted(self.handled)}
        self.disk = json.dumps(state)
        self.saved = dict(state["last"][2].get("counter", {})) if state["last"] else None
        if killed == "after the state":
            return
        self.files = [one for one in self.files if one.name not in self.handled]
        self.handled = set()
        for one in self.metering.closed:
            self.deliver(one)
        if killed != "before the state without them":
            self.metering.closed = []

    def deliver(self, segment):
        wire = json.dumps(segment.to_wire())
        assert self.daemon.setdefault(segment.start_at, wire) == wire

    def successor(self):
        """The next agent knows what the disk has, and nothing else."""
        state = json.loads(self.disk)
        self.metering = self.anew()
        self.metering.load(state)
        self.handled = set(state["handled"])

    def reboot(self):
        """What was drawn since the last state on disk is lost with the counters."""
        self.settle(self.saved)
        self.boot += 1
        self.steady = 5 * NS
        self.counters = dict.fromkeys(DEVICES, 7)
        self.began = dict(self.counters)
        self.used, self.stopped, self.vanished_ns, self.system_ns = {}, set(), 0, 0
        self.empty = set()
        self.lost, self.disk_full = set(), False
        self.successor()
        self.sample()
        self.keep()

    def settle(self, until):
        for name, uj in until.items():
            self.metered[name.split("/")[0]] += uj - self.began[name]

    def event(self, kind, job, late_s, restarts=None):
        self.files_made += 1
        self.files.append(
            Event(
                name=f"{kind}.{job}.{self.files_made}", kind=EventKind(kind),
                at_ns=self.wall - round(late_s * NS), job_id=job,
                restarts=self.restarts[job] if restarts is None else restarts, uid=1000,
                cpus=None if job == 4 else 3, gpus=str(job % 2) if job < 4 else "",
            )
        )  # fmt: skip

    def happen(self, what, job, dice):
        happenings = {
            "begin": lambda: self.event("begin", job, dice.choice([0, 0.3, 30])),
            "end": lambda: self.event("end", job, dice.choice([0, 0.3, 30])),
            "requeue": lambda: self.requeue(job),
            "again": lambda: self.again(dice),
            "vanish": lambda: self.vanish(job),
            "leave": lambda: self.empty.update({job} & self.used.keys()),
            "stop": lambda: self.stopped.symmetric_difference_update({job}),
            "slurm": lambda: self.metering.jobs.end_from_slurm(
                [(job, self.restarts[job], self.wall / NS - 2)]
            ),
            "lose": lambda: self.lost.symmetric_difference_update({dice.choice(DEVICES)}),
            "clock": lambda: self.set_clock(dice.choice([-40, -3, 3, 100])),
            "disk": lambda: setattr(self, "disk_full", not self.disk_full),
            "grid": lambda: self.other_grid(dice),
            "restart": self.successor,
        }
        happenings.get(what, lambda: None)()

    def requeue(self, job):
        self.restarts[job] += 1
        self.event("begin", job, 0)
        self.vanish(job)

    def again(self, dice):
        if self.files:
            self.files_made += 1
            one = dice.choice(self.files)
            self.files.append(replace(one, name=f"{one.kind}.{one.job_id}.{self.files_made}"))

    def set_clock(self, seconds):
        self.wall = max(600 * NS, self.wall + seconds * NS)

    def other_grid(self, dice):
        self.segment_s = dice.choice([3, 10, 15])
        self.successor()

    def vanish(self, job):
        self.vanished_ns += self.used.pop(job, 0)
        self.empty.discard(job)

    def work(self, seconds, dice):
        self.wall += round(seconds * NS)
        self.steady += round(seconds * NS)
        for name in DEVICES:
            self.counters[name] += dice.choice(
                [0, 1, dice.randrange(3 * J), dice.randrange(200 * J)]
            )
        for job in range(1, 5):
            if dice.random() < 0.6 and job not in self.stopped:
                if job not in self.used:
                    self.used[job], self.inodes[job] = 0, dice.randrange(10**6)
                self.used[job] += dice.randrange(round(3 * seconds * NS) + 1)
                self.empty.discard(job)
        self.system_ns += dice.randrange(round(seconds * NS) + 1)

    def finish(self):
        self.disk_full, self.lost = False, set()
        self.work(1, random.Random(1))
        self.sample()
        self.metering.close_early()
        self.keep()
        self.settle(self.counters)


KINDS = [
    "nothing", "begin", "begin", "end", "requeue", "again", "vanish", "leave", "stop", "slurm",
    "lose", "clock", "disk", "grid", "restart", "restart", "killed after the state",
    "killed before the state without them", "reboot",
]  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(1, 4),
        st.sampled_from([0.001, 0.4, 1, 1, 1.01, 7, 33]),
        st.integers(0, 2**32),
    ),
    max_size=40,
)


def live(panel, steps):
    world = World(panel)
    for what, job, seconds, seed in steps:
        dice = random.Random(seed)
        world.work(seconds, dice)
        if what == "reboot":
            world.reboot()
            continue
        world.happen(what, job, dice)
        world.sample()
        killed = what.removeprefix("killed ") if what.startswith("killed") else None
        world.keep(killed)
        if killed:
            world.successor()
            if dice.random() < 0.5:  # a successor may be killed before it has sampled
                world.successor()
    world.finish()
    return world


def held(world):
    """Microjoules that are in no closed segment yet, by domain."""
    book = json.loads(world.disk)["segments"]
    found = Counter()
    for kind, *_, domain, uj, _ in book["carry"]:
        # Half a joule of each job, up or down; idle has what jobs left that are gone.
        assert abs(uj) <= 500_000 or kind == PartKind.IDLE
        found[domain] += uj
    for one in book["open"]:
        for *_, cells in one["tallies"]:
            for domain, uj, _, _ in cells:
                assert uj >= 0
                found[domain] += uj
    return found


@settings(max_examples=250)
@given(steps=STEPS)
def test_every_microjoule_of_any_history_ends_in_exactly_one_segment(steady_panel, steps):
    world = live(steady_panel(static_w=None, inventory=GPUS), steps)
    segments = [EnergySegment.from_wire(json.loads(wire)) for wire in world.daemon.values()]
    told = held(world)
    for one in segments:
        kinds = Counter()
        for part in one.parts:
            kinds[part.kind] += part.energy_j
            for domain, joules in part.domains.items():
                told[domain] += joules * J
        assert kinds[PartKind.JOB] + kinds[PartKind.IDLE] + kinds[PartKind.SYSTEM] == one.total_j
        assert one.quality is not Quality.MISSING
    assert {domain: told[domain] for domain in Domain if domain is not Domain.NODE} == {
        Domain(name): uj for name, uj in world.metered.items()
    }
    for before, after in pairwise(sorted(segments, key=lambda one: one.start_at)):
        assert before.end_at <= after.start_at


@settings(max_examples=50)
@given(steps=STEPS)
def test_the_same_history_gives_the_same_segments(steady_panel, steps):
    first, second = (live(steady_panel(inventory=GPUS), steps) for _ in range(2))
    assert first.daemon == second.daemon
    assert first.disk == second.disk


@settings(max_examples=50)
@given(steps=STEPS)
@example(steps=[("begin", 2, 0.001, 0), ("leave", 2, 7, 0), ("restart", 1, 0.001, 0)])
def test_restarts_that_lose_nothing_change_nothing_but_qualities(steady_panel, steps):
    """A successor that takes over at once divides as its predecessor would have."""
    plain = [one for one in steps if one[0] not in ("grid", "disk", "reboot", "lose", "clock")]
    calm = [one if "kill" not in one[0] else ("nothing", *one[1:]) for one in plain]
    calm = [one if one[0] != "restart" else ("nothing", *one[1:]) for one in calm]
    with_kills = [
        one if one[0] != "restart" else ("killed after the state", *one[1:]) for one in plain
    ]
    one, other = (live(steady_panel(inventory=GPUS), each) for each in (calm, with_kills))
    assert [energies(wire) for wire in one.daemon.values()] == [
        energies(wire) for wire in other.daemon.values()
    ]


def energies(wire):
    segment = EnergySegment.from_wire(json.loads(wire))
    return segment.start_at, [
        (part.kind, part.job_id, part.restarts, part.domains, part.cpu_ms, part.node_ms)
        for part in segment.parts
    ]
