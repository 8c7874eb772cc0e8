from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from carbonsched.model.energy import Domain, Quality
from carbonsched.node.journal import Journal
from carbonsched.node.meters.meter import DomainEnergy

NS = 1_000_000_000


@dataclass
class Tree:
    """A folder shaped like /sys and /proc, with one node's site file beside it."""

    root: Path
    node: str = "n1"
    idle_w: int = 60
    max_w: int = 240
    port: int = 9

    def __post_init__(self):
        self.sysfs = self.root / "sys"
        self.procfs = self.root / "proc"
        self.cgroupfs = self.sysfs / "fs/cgroup"
        self.spool = self.root / "spool" / self.node
        self.socket = self.root / f"{self.node}.sock"
        self.cgroupfs.mkdir(parents=True)
        (self.procfs / "sys/kernel/random").mkdir(parents=True)
        self.boot("boot-1")
        self.busy(0)

    def boot(self, name):
        (self.procfs / "sys/kernel/random/boot_id").write_text(name + "\n")

    def busy(self, ticks):
        (self.procfs / "stat").write_text(f"cpu  {ticks} 0 0 9 9 0 0 0 0 0\ncpu0 1\ncpu1 1\n")

    def cpu_v1(self, job_id, ns, uid=1000, root=None):
        folder = (
            self.cgroupfs / "cpuacct" / (root or f"slurm_{self.node}") / f"uid_{uid}/job_{job_id}"
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpuacct.usage").write_text(f"{ns}\n")
        return folder

    def process(self, pid, job_id, uid=1000):
        folder = self.procfs / str(pid)
        folder.mkdir(exist_ok=True)
        path = f"/slurm_{self.node}/uid_{uid}/job_{job_id}/step_batch/task_0"
        (folder / "cgroup").write_text(f"9:cpuacct:{path}\n0::/\n")

    def zone(self, directory, name, uj, range_uj=262_143_328_850):
        folder = self.sysfs / "class/powercap" / directory
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(name + "\n")
        (folder / "energy_uj").write_text(f"{uj}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")

    def event(self, kind, job_id, at_ns, restarts=0, uid=1000, cpus="2", nodelist=None, whole=True):
        folder = self.spool / "events"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{kind}.{job_id}.{restarts}.77"
        lines = [f"uid={uid}", f"nodelist={nodelist or self.node}", f"cpus_per_node={cpus}"]
        path.write_text("\n".join([*lines, "end" if whole else "x=1", ""]))
        os.utime(path, ns=(at_ns, at_ns))
        return path

    def site(self, **agent):
        path = self.root / "site.json"
        settings = {"socket": str(self.socket), "spool": str(self.spool)} | agent
        node_class = {"nodes": "n[1-4]", "cpus": 8, "idle_w": self.idle_w, "max_w": self.max_w}
        site = {
            "cluster": "lab",
            "daemon_url": f"http://127.0.0.1:{self.port}",
            "agent": settings,
            "node_classes": [node_class],
        }
        path.write_text(json.dumps(site))
        return path


@dataclass
class SteadyPanel:
    """Counters that a test turns itself, named ``DOMAIN/DEVICE``; static power only of the CPUs.

    A device that only one of two readings has begins with the later one, as with real meters.
    """

    name: str = "counter"
    sees_system: bool = True
    longest_gap_ns: int = 600 * NS
    static_w: int | None = 50
    inventory: tuple = ()
    qualities: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)

    def between(self, before, after, length_ns, _busy_ns):
        old, new = before.get("counter", {}), after.get("counter", {})
        return tuple(self.energy(key, new[key] - old[key], length_ns) for key in new if key in old)

    def energy(self, key, uj, length_ns):
        domain, device = key.split("/")
        static = None
        if domain == "cpu" and self.static_w is not None:
            static = min(uj, self.static_w * length_ns // 1000)
        return DomainEnergy(
            domain=Domain(domain), device=device, energy_uj=uj, static_uj=static,
            quality=self.qualities.get(key, Quality.MEASURED),
        )  # fmt: skip

    def merge(self, before, after):
        keys = before.keys() | after.keys()
        return {key: before.get(key, {}) | after.get(key, {}) for key in sorted(keys)}

    def gpus(self):
        return self.inventory

    def to_state(self):
        return {}

    def load(self, state):
        assert state == {}


@dataclass
class LinearPanel(SteadyPanel):
    """A modelled node of which the CPU time of jobs is all that is seen."""

    name: str = "model"
    sees_system: bool = False
    longest_gap_ns: int = 3600 * NS
    idle_w: int = 60
    max_w: int = 240
    cpus: int = 8

    def between(self, _before, _after, length_ns, busy_ns):
        static = self.idle_w * length_ns // 1000
        used_ns = min(busy_ns, self.cpus * length_ns)
        dynamic = (self.max_w - self.idle_w) * used_ns // (self.cpus * 1000)
        return (
            DomainEnergy(
                domain=Domain.NODE, device="model", energy_uj=static + dynamic, static_uj=static,
                quality=Quality.MODELLED, uncertainty_uj=(static + dynamic) // 4,
            ),
        )  # fmt: skip


@dataclass
class HandClock:
    """A clock that a test sets."""

    wall: int = 1_000 * NS
    steady: int = 50 * NS
    boot_id: str = "boot-1"
    log: list = field(default_factory=list)

    def wall_ns(self):
        return self.wall

    def steady_ns(self):
        return self.steady

    def go(self, seconds):
        self.wall += round(seconds * NS)
        self.steady += round(seconds * NS)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.fixture
def log():
    return io.StringIO()


@pytest.fixture
def journal(log):
    return Journal("agent", log)


@pytest.fixture(scope="session")
def steady_panel():
    return SteadyPanel


@pytest.fixture(scope="session")
def linear_panel():
    return LinearPanel


@pytest.fixture
def clock():
    return HandClock()
