"""RAPL energy counters of CPU packages and memory, through Linux's powercap files.

Facts from Linux's Documentation/power/powercap: ``energy_uj`` counts up to ``max_energy_range_uj``
and begins again at 0; each zone has its own range (memory's is a quarter of its package's on some
machines); ``dram`` beside a package is not within it, ``core`` and ``uncore`` are; ``psys`` is the
platform. The counter ticks about once a millisecond.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain
from carbonsched.node.journal import Journal
from carbonsched.node.meters import dies
from carbonsched.node.meters.counters import Device, counted
from carbonsched.node.meters.meter import DomainEnergy, Reading
from carbonsched.node.meters.rapl_limits import PACKAGE_LIMIT_W, packages_in, zone_limit_w
from carbonsched.node.meters.sysfs import OpenFile, names_in, reason
from carbonsched.units import NS_PER_S

RESCAN_NS = 60 * NS_PER_S

_ZONE = re.compile(r"(intel-rapl(?:-mmio)?):([0-9]+)(?::([0-9]+))?")
_ROOT = "run the agent as root, who alone may read RAPL"


@dataclass(frozen=True, slots=True)
class _Zone:
    device: Device
    file: OpenFile


class RaplMeter:
    """Packages, memory and platform; subzones of a package are parts of it and not told."""

    key = "rapl"

    def __init__(self, sysfs: Path, max_w: float | None, journal: Journal) -> None:
        self._powercap = str(sysfs / "class/powercap")
        self._max_w = max_w
        self._journal = journal
        self._zones: dict[str, _Zone] = {}
        self._names: list[str] = []
        self._broken = False
        self._top_zones = 2
        self._packages = 1
        self._scanned_ns: int | None = None
        self._twins: set[str] = set()

    @classmethod
    def find(cls, sysfs: Path, max_w: float | None, journal: Journal) -> RaplMeter | None:
        """The machine's RAPL meter, or ``None`` where it has none.

        ``max_w`` is the whole node's declared power, if it is declared.

        Raises:
            MeterError: the counters are there and may not be read.
        """
        meter = cls(sysfs, max_w, journal)
        meter._scan()
        if not meter._zones:
            return None
        meter.read(0)
        return meter

    @property
    def name(self) -> str:
        """``rapl(package-0, package-0 dram)``."""
        return f"rapl({', '.join(self._zones)})"

    @property
    def has_cpu(self) -> bool:
        """Whether it sees packages, and not the platform alone."""
        return any(zone.device.domain is Domain.CPU for zone in self._zones.values())

    @property
    def has_psys(self) -> bool:
        """Whether it sees the platform as a whole."""
        return any(zone.device.domain is Domain.NODE for zone in self._zones.values())

    @property
    def longest_gap_ns(self) -> int:
        """A package's smallest range over what it can draw; other zones are told one by one."""
        zones = [zone.device for zone in self._zones.values()]
        packages = [device for device in zones if device.domain is Domain.CPU]
        return min((device.longest_gap_ns or 0 for device in packages or zones), default=0)

    def read(self, steady_ns: int) -> Reading:
        """Each zone's counter; those of dies twice, see ``dies``."""
        if self._scanned_ns is None:
            self._scanned_ns = steady_ns
        elif steady_ns - self._scanned_ns >= RESCAN_NS:
            self._scanned_ns = steady_ns
            self._scan()
        reading: Reading = {}
        failures: list[str] = []
        for label, zone in self._zones.items():
            uj = self._counter(zone, failures)
            if uj is not None:
                reading[f"{label}.uj"] = uj
                reading[f"{label}.at_ns"] = steady_ns
        for label, zone in self._zones.items():
            if dies.is_die(label) and f"{label}.uj" in reading:
                again = self._counter(zone, failures)
                if again is not None:
                    reading[f"{label}.again"] = again
        self._check(reading, failures)
        return reading

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """Energy by zone; dies that show one counter are told once."""
        del busy_ns
        told: list[DomainEnergy] = []
        devices = {label: zone.device for label, zone in self._zones.items()}
        twins = dies.twins(devices, before, after)
        for label, device in devices.items():
            if label in twins:
                self._say_twin(label, twins[label])
                continue
            result = counted(device, before, after, length_ns)
            if result.reset:
                self._journal.trouble(
                    f"rapl {label}",
                    f"the counter of {label} was reset, or moved by more than"
                    f" {device.limit_w} W: 0 J for that time, which is partial",
                )
            if result.energy is not None:
                told.append(result.energy)
        return (*told, *self._vanished(before, after))

    def close(self) -> None:
        """Let go of its files."""
        for zone in self._zones.values():
            zone.file.close()

    def _vanished(self, before: Reading, after: Reading) -> list[DomainEnergy]:
        """Zones that the earlier reading had and that are gone, until they cannot come back."""
        gone: list[DomainEnergy] = []
        newest_ns = max((ns for key, ns in after.items() if key.endswith(".at_ns")), default=0)
        for key, at_ns in before.items():
            label = key.removesuffix(".at_ns")
            if label == key or label in self._zones or (domain := _domain(label)) is None:
                continue
            if newest_ns - at_ns <= self.longest_gap_ns:
                gone.append(Device(domain=domain, name=label, limit_w=PACKAGE_LIMIT_W).none())
        return gone

    def _counter(self, zone: _Zone, failures: list[str]) -> int | None:
        label = zone.device.name
        try:
            uj = zone.file.number()
            if uj > (zone.device.range_uj or 0):
                raise ValueError(f"{uj} is beyond the counter's range")  # noqa: TRY301
        except PermissionError:
            failures.append(f"{zone.file.path}: permission denied; {_ROOT}")
        except (OSError, ValueError) as error:
            failures.append(f"{zone.file.path}: {reason(error)}; is --path.sysfs right?")
        else:
            self._journal.over(f"rapl read {label}", f"{label} can be read again")
            return uj
        self._journal.trouble(f"rapl read {label}", f"{failures[-1]}; {label} is left out")
        return None

    def _check(self, reading: Reading, failures: list[str]) -> None:
        """A reading without any package, where there are packages, is none."""
        zones = self._zones.values()
        needed = [zone for zone in zones if zone.device.domain is Domain.CPU] or list(zones)
        if not any(f"{zone.device.name}.uj" in reading for zone in needed):
            what = failures[0] if failures else f"{self._powercap}: its RAPL zones are gone"
            raise MeterError(what)

    def _scan(self) -> None:
        """Find the zones anew if they are not those of last time."""
        try:
            names = names_in(self._powercap)
        except PermissionError:
            raise MeterError(f"{self._powercap}: permission denied; {_ROOT}") from None
        if names == self._names and not self._broken:
            return
        self._broken = False
        self._top_zones = max(2, sum(name.count(":") == 1 for name in names))
        self._packages = packages_in(self._name_of(one) for one in _in_order(names))
        known = {zone.file.path: zone.file for zone in self._zones.values()}
        found: dict[str, _Zone] = {}
        for directory in _in_order(names):
            zone = self._zone(directory, known)
            # A package that two interfaces show (MSR and MMIO) is one: the first counts.
            if zone is not None:
                found.setdefault(zone.device.name, zone)
        if self.has_cpu and not any(zone.device.domain is Domain.CPU for zone in found.values()):
            self._broken = True  # its driver is gone, perhaps for a moment: readings fail meanwhile
            return
        for path in known.keys() - {zone.file.path for zone in found.values()}:
            known[path].close()
        self._zones = {label: found[label] for label in sorted(found)}
        self._names = names

    def _zone(self, directory: str, known: dict[str, OpenFile]) -> _Zone | None:
        """A zone that counts; ``None`` for core, uncore and the like, and for a broken one."""
        path = f"{self._powercap}/{directory}"
        try:
            label = self._label(directory)
            domain = None if label is None else _domain(label)
            if label is None or domain is None:
                return None
            range_uj = _number(f"{path}/max_energy_range_uj")
            if not range_uj:
                raise ValueError("max_energy_range_uj is 0")  # noqa: TRY301
        except (OSError, ValueError) as error:
            self._broken = True
            self._journal.trouble(f"rapl zone {directory}", f"{path}: {reason(error)}; left out")
            return None
        if domain is Domain.NODE:  # it holds all packages, and is a zone at the top itself
            limit_w = round(max(self._max_w or 0, PACKAGE_LIMIT_W)) * self._top_zones
        else:
            limit_w = zone_limit_w(path, self._max_w, self._packages)
        device = Device(domain=domain, name=label, limit_w=limit_w, range_uj=range_uj)
        file = known.get(f"{path}/energy_uj") or OpenFile(f"{path}/energy_uj")
        return _Zone(device, file)

    def _name_of(self, directory: str) -> str:
        """What a zone calls itself, nothing if it cannot be read."""
        try:
            return _text(f"{self._powercap}/{directory}/name")
        except (OSError, ValueError):
            return ""

    def _label(self, directory: str) -> str | None:
        """The name under which a zone is counted: its own, or its package's for memory."""
        name = _text(f"{self._powercap}/{directory}/name")
        interface, _, rest = directory.partition(":")
        package, _, subzone = rest.partition(":")
        if not subzone:
            return name
        if name != "dram":
            return None
        parent = _text(f"{self._powercap}/{interface}:{package}/name")
        return f"{parent} dram"

    def _say_twin(self, label: str, counted_as: str) -> None:
        if label not in self._twins:
            self._twins.add(label)
            self._journal.say(f"{label} shows the counter of {counted_as}: counted once")


def _in_order(names: list[str]) -> list[str]:
    """Zones in order of their numbers, those read through MSR before their MMIO mirrors."""
    found = []
    for name in names:
        match = _ZONE.fullmatch(name)
        if match is not None:
            order = (match[1], int(match[2]), -1 if match[3] is None else int(match[3]))
            found.append((order, name))
    return [name for _, name in sorted(found)]


def _domain(label: str) -> Domain | None:
    if label == "psys":
        return Domain.NODE
    if not label.startswith("package-"):
        return None
    return Domain.MEMORY if label.endswith(" dram") else Domain.CPU


def _text(path: str) -> str:
    file = OpenFile(path)
    try:
        return file.text()
    finally:
        file.close()


def _number(path: str) -> int:
    file = OpenFile(path)
    try:
        return file.number()
    finally:
        file.close()
