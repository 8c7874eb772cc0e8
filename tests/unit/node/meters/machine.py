"""A machine for tests of the panel: real files, and GPUs that a test turns by hand."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain
from carbonsched.node.meters import find
from carbonsched.node.meters.counters import Device, counted
from carbonsched.node.meters.meter import Gpu
from carbonsched.site import AgentSite, NodeClass

NS = 1_000_000_000
J = 1_000_000
CLASS = NodeClass(nodes="n1", cpus=8, idle_w=60, max_w=240)
STAMP_US = 1_751_467_200_123_456


@dataclass
class Cards:
    """GPUs with counters, as a meter shows them."""

    joules: dict = field(default_factory=dict)
    key: str = "nvml"
    longest_gap_ns: int = 3600 * NS
    fault: str = ""
    there: bool = True

    @property
    def name(self):
        return f"nvml({len(self.joules)} GPUs)"

    def gpus(self):
        return tuple(Gpu(device=uuid, index=index) for index, uuid in enumerate(self.joules))

    def read(self, steady_ns):
        if self.fault:
            raise MeterError(self.fault)
        told = {}
        for uuid, joules in self.joules.items():
            if joules is not None:
                told |= {f"{uuid}.uj": joules * J, f"{uuid}.at_ns": steady_ns}
        return told

    def between(self, before, after, length_ns, _busy_ns):
        devices = [Device(domain=Domain.GPU, name=uuid, limit_w=1000) for uuid in self.joules]
        told = (counted(device, before, after, length_ns).energy for device in devices)
        return tuple(one for one in told if one is not None)


class Node:
    """A machine whose meters advance, and a panel on it."""

    def __init__(self, sys, journal, monkeypatch):
        self.sys, self.journal = sys, journal
        self.cards = Cards(there=False)
        self.at_ns = 0
        self.panel = None
        self.last = None
        monkeypatch.setattr(
            find.NvmlMeter, "find", lambda *_where: self.cards if self.cards.there else None
        )

    def start(self, node_class=None, **agent):
        self.panel = find.find_panel(
            "n1", node_class, AgentSite(**agent), self.sys.root, self.journal
        )
        self.last = self.panel.read(self.at_ns)
        return self

    def step(self, seconds=1, busy_ns=0):
        """What was drawn since the last sample, as the agent asks for it."""
        self.at_ns += seconds * NS
        after = self.panel.read(self.at_ns)
        told = self.panel.between(self.last, after, seconds * NS, busy_ns)
        self.last = json.loads(json.dumps(self.panel.merge(self.last, after)))
        return told

    def until(self, key, seconds=30):
        """Let time pass until a meter that came late has been found and read."""
        deadline = time.monotonic() + 10
        while key not in self.last:
            assert time.monotonic() < deadline, f"{key} was not found"
            self.step(seconds)


def by_domain(told):
    sums = {}
    for one in told:
        sums[one.domain] = sums.get(one.domain, 0) + one.energy_uj
    return {domain.value: uj // J for domain, uj in sums.items()}


def qualities(told):
    return {one.device: one.quality for one in told}


def rapl(sys, cpu_j, memory_j=0, packages=1):
    for number in range(packages):
        sys.zone(f"intel-rapl:{number}", f"package-{number}", cpu_j * J)
        sys.zone(f"intel-rapl:{number}:0", "dram", memory_j * J, 65_712_999_613)
