from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from carbonsched.node.journal import Journal

from .machine import Node

NS = 1_000_000_000
PACKAGE_RANGE_UJ = 262_143_328_850
MEMORY_RANGE_UJ = 65_712_999_613


@dataclass
class Sys:
    """A folder shaped like /sys whose sensors a test turns by hand."""

    root: Path

    def write(self, path, text):
        """In place, as the kernel does: the file stays the same one."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
        return file

    def zone(self, directory, name, uj=None, range_uj=PACKAGE_RANGE_UJ):
        folder = f"class/powercap/{directory}"
        self.write(f"{folder}/name", name)
        self.write(f"{folder}/max_energy_range_uj", range_uj)
        self.write(f"{folder}/enabled", 1)
        return self.write(f"{folder}/energy_uj", 0 if uj is None else uj)

    def uj(self, directory, uj):
        self.write(f"class/powercap/{directory}/energy_uj", uj)

    def remove(self, path):
        shutil.rmtree(self.root / path)

    def cray(self, startup=7, stamp_us=1_751_467_200_123_456, **joules):
        for name, energy_j in joules.items():
            self.write(f"cray/pm_counters/{name}", f"{energy_j} J {stamp_us} us")
        self.write("cray/pm_counters/startup", f"{startup} {stamp_us} us")
        self.write("cray/pm_counters/freshness", stamp_us // 100_000)
        self.write("cray/pm_counters/generation", f"23 {stamp_us} us")
        self.write("cray/pm_counters/power", f"451 W {stamp_us} us")

    def grace(self, sockets=4, old=True, **watts):
        """ACPI power meters as on Grace boards: one chip each, its meaning in power1_oem_info."""
        kinds = [(kind, socket) for kind in watts for socket in range(sockets)]
        for number, (kind, socket) in enumerate(kinds):
            self.power_meter(
                watts[kind], chip=f"hwmon{number}", old=old,
                power1_oem_info=f"{kind} Power Socket {socket}",
            )  # fmt: skip

    def power_meter(self, watts=None, chip="hwmon3", old=False, **files):
        place = f"class/hwmon/{chip}" + ("/device" if old else "")
        self.write(f"{place}/name", "power_meter")
        self.write(f"{place}/power1_average_interval", 1000)
        if watts is not None:
            self.write(f"{place}/power1_average", round(watts * 10**6))
        for name, value in files.items():
            self.write(f"{place}/{name}", value)


@pytest.fixture
def sys(tmp_path):
    return Sys(tmp_path / "sys")


@pytest.fixture
def log():
    return io.StringIO()


@pytest.fixture
def journal(log):
    return Journal("agent", log)


@pytest.fixture
def node(sys, journal, monkeypatch):
    node = Node(sys, journal, monkeypatch)
    yield node
    if node.panel is not None:
        node.panel.close()
