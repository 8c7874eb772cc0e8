"""What the kernel shows of a node's devices: powercap, hwmon and Cray's counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from .gauges import Gauge, put
from .physics import NS, UW_NS_PER_UJ, Device, Supply
from .script import NodeScript, sysfs, zones_of

CRAY_HZ = 10


class Shown(Protocol):
    """A part of the tree."""

    def update(self, steady_ns: int, wall_ns: int) -> None:
        """Write what has changed."""
        ...


class Powercap:
    """Folders under devices/virtual, subzones within their zones, and links to all of them."""

    def __init__(self, node: NodeScript, devices: Mapping[str, Device], supply: Supply) -> None:
        self._class = sysfs(node) / "class/powercap"
        self._class.mkdir(parents=True, exist_ok=True)
        self._devices = sysfs(node) / "devices/virtual/powercap"
        self._energy = {
            zone.directory: _counted(zone.device, devices, supply) for zone in zones_of(node)
        }
        self._zones = {zone.directory: zone for zone in zones_of(node)}
        self._start = {zone.directory: zone.start_uj for zone in zones_of(node)}
        self._gauges: dict[str, Gauge] = {}
        for zone in self._zones.values():
            if not zone.hidden:
                self.appear(zone.directory)

    def appear(self, directory: str) -> None:
        """A zone is there from now on."""
        zone = self._zones[directory]
        folder = self._folder(directory)
        put(folder / "name", zone.name + "\n")
        put(folder / "max_energy_range_uj", f"{zone.range_uj}\n")
        self._gauges[directory] = Gauge(folder / "energy_uj", str(self._value(directory)))
        self._link(directory, folder)

    def reset(self, directory: str) -> None:
        """The counter starts from zero now, as after the driver was loaded anew."""
        self._start[directory] -= self._value(directory)

    def update(self, steady_ns: int, wall_ns: int) -> None:
        del steady_ns, wall_ns
        for directory, gauge in self._gauges.items():
            gauge.show(self._value(directory))

    def gauge(self, path: str) -> Gauge | None:
        """The gauge of a folder."""
        return self._gauges.get(path)

    def _folder(self, directory: str) -> Path:
        kind, *numbers = directory.split(":")
        folder = self._devices / kind
        self._link(kind, folder)
        if not (folder / "subsystem").is_symlink():
            folder.mkdir(parents=True)
            (folder / "subsystem").symlink_to("../../../../class/powercap")
        for count in range(1, len(numbers) + 1):
            folder /= ":".join([kind, *numbers[:count]])
        return folder

    def _link(self, name: str, folder: Path) -> None:
        link = self._class / name
        if not link.is_symlink():
            link.symlink_to(
                Path("../../devices/virtual/powercap") / folder.relative_to(self._devices)
            )

    def _value(self, directory: str) -> int:
        zone = self._zones[directory]
        return (self._start[directory] + self._energy[directory]()) % zone.range_uj


def _counted(name: str, devices: Mapping[str, Device], supply: Supply) -> Callable[[], int]:
    if name == "psys":
        return lambda: supply.wall // UW_NS_PER_UJ
    if name.startswith("core-"):
        package = devices[f"package-{name[5:]}"]
        return lambda: package.uj * 7 // 10
    device = devices[name]
    return lambda: device.uj


class PowerMeter:
    """The board's power as the ACPI power meter shows it: a mean over an interval."""

    def __init__(self, node: NodeScript, supply: Supply) -> None:
        folder = sysfs(node) / "class/hwmon/hwmon0"
        self._supply = supply
        self._interval_ns = round(node.wall_interval_s * NS)
        put(folder / "name", "power_meter\n")
        put(folder / "power1_average_interval", f"{self._interval_ns // 10**6}\n")
        put(folder / "power1_is_battery", "0\n")
        self.power = Gauge(folder / "power1_average", str(self._now_uw()))
        self._last: tuple[int, int] | None = None

    def update(self, steady_ns: int, wall_ns: int) -> None:
        del wall_ns
        if self._last is None:
            self._last = (steady_ns, self._supply.wall)
        length_ns = steady_ns - self._last[0]
        if length_ns >= self._interval_ns:
            self.power.show((self._supply.wall - self._last[1]) // length_ns)
            self._last = (steady_ns, self._supply.wall)

    def _now_uw(self) -> int:
        parts = sum(one.idle_uw for one in self._supply.parts)
        return self._supply.idle_uw + parts + parts * self._supply.loss_ppm // 10**6


class Cray:
    """The counters of a Cray node, in joules, renewed ten times a second."""

    def __init__(self, node: NodeScript, devices: Mapping[str, Device], supply: Supply) -> None:
        self._folder = sysfs(node) / "cray/pm_counters"
        self._last_ns = 0
        self._last: dict[str, int] = {}
        self._energies: dict[str, Callable[[], int]] = {"energy": lambda: supply.wall}
        cpu = [one for one in devices.values() if one.domain == "cpu"]
        memory = [one for one in devices.values() if one.domain == "memory"]
        self._energies["cpu_energy"] = lambda: sum(one.drawn for one in cpu)
        if memory:
            self._energies["memory_energy"] = lambda: sum(one.drawn for one in memory)
        gpus = [one for one in devices.values() if one.domain == "gpu"]
        for number, one in enumerate(gpus):
            self._energies[f"accel{number}_energy"] = lambda one=one: one.drawn  # type: ignore[misc]
        self.gauges = {name: Gauge(self._folder / name, "0 J 0 us") for name in self._energies}
        for name in self._energies:
            power = name.replace("energy", "power")
            self.gauges[power] = Gauge(self._folder / power, "0 W 0 us")
        self.gauges["freshness"] = Gauge(self._folder / "freshness", "0")
        for name, text in (("generation", "1"), ("raw_scan_hz", "10"), ("version", "2")):
            put(self._folder / name, text + "\n")
        put(self._folder / "startup", "1700000000000000\n")
        self._fresh = 0

    def update(self, steady_ns: int, wall_ns: int) -> None:
        length_ns = steady_ns - self._last_ns
        if length_ns < NS // CRAY_HZ:
            return
        at_us = wall_ns // 1000
        for name, energy in self._energies.items():
            now = energy()
            self.gauges[name].show(f"{now // UW_NS_PER_UJ // 10**6} J {at_us} us")
            watts = (now - self._last.get(name, now)) // length_ns // 10**6
            self.gauges[name.replace("energy", "power")].show(f"{watts} W {at_us} us")
            self._last[name] = now
        self._fresh += 1
        self.gauges["freshness"].show(self._fresh)
        self._last_ns = steady_ns
