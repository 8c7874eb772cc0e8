"""RAPL energy counters of CPU packages and memory, through Linux's powercap files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from carbonsched.errors import MeterError
from carbonsched.model.energy import Quality
from carbonsched.units import NS_PER_S, UJ_PER_J

UNDECLARED_PACKAGE_W = 500
"""No package draws more; bounds how long two readings may lie apart before a wrap is ambiguous."""

_ZONE = re.compile(r"(intel-rapl(?:-mmio)?):([0-9]+)(?::([0-9]+))?")


@dataclass(frozen=True, slots=True)
class _Zone:
    label: str
    path: Path
    range_uj: int


class RaplMeter:
    """Sums the packages and their memory; subzones of a package are parts of it and not added."""

    quality = Quality.MEASURED
    sees_system = True

    def __init__(self, zones: tuple[_Zone, ...], max_w: float | None) -> None:
        self._zones = zones
        self.name = f"rapl({', '.join(zone.label for zone in zones)})"
        limit_w = max(max_w or 0, UNDECLARED_PACKAGE_W)
        smallest_j = min(zone.range_uj for zone in zones) // UJ_PER_J
        self.longest_gap_ns = round(smallest_j / limit_w * NS_PER_S)

    @classmethod
    def find(cls, sysfs: Path, max_w: float | None) -> RaplMeter | None:
        """The machine's RAPL meter, or ``None`` where it has none.

        Raises:
            MeterError: the counters are there and may not be read.
        """
        zones: dict[str, _Zone] = {}
        for directory in _zone_directories(sysfs / "class/powercap"):
            label = _label(directory)
            # A package that two interfaces show (MSR and MMIO) is one package: the first counts.
            if label is not None and label not in zones:
                range_uj = _number(directory / "max_energy_range_uj")
                zones[label] = _Zone(label, directory / "energy_uj", range_uj)
        if not zones:
            return None
        meter = cls(tuple(zones[label] for label in sorted(zones)), max_w)
        meter.read()
        return meter

    def read(self) -> dict[str, int]:
        """Each zone's counter in microjoules."""
        return {zone.label: _number(zone.path) for zone in self._zones}

    def total_uj(
        self, before: Mapping[str, int], after: Mapping[str, int], length_ns: int, jobs_cpu_ns: int
    ) -> int:
        """The sum of the zones' differences, each unwrapped once where its counter went round."""
        del length_ns, jobs_cpu_ns
        return sum(_difference(zone, before[zone.label], after[zone.label]) for zone in self._zones)

    def static_uj(self, length_ns: int) -> int | None:
        """RAPL does not tell idle from busy."""
        del length_ns
        return None


def _zone_directories(powercap: Path) -> list[Path]:
    """Zones in order of their numbers, those read through MSR before their MMIO mirrors."""
    found = []
    try:
        names = [entry.name for entry in powercap.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MeterError(f"{powercap}: {error.strerror}; run the agent as root") from None
    for name in names:
        match = _ZONE.fullmatch(name)
        if match is not None:
            order = (match[1], int(match[2]), -1 if match[3] is None else int(match[3]))
            found.append((order, powercap / name))
    return [path for _, path in sorted(found)]


def _label(directory: Path) -> str | None:
    """The name under which a zone is counted; ``None`` for psys, core, uncore and the like."""
    name = _text(directory / "name")
    interface, _, rest = directory.name.partition(":")
    package, _, subzone = rest.partition(":")
    if not subzone:
        return name if name.startswith("package") else None
    if name != "dram":
        return None
    parent = _text(directory.parent / f"{interface}:{package}" / "name")
    return f"{parent} dram" if parent.startswith("package") else None


def _difference(zone: _Zone, before: int, after: int) -> int:
    if after >= before:
        return after - before
    if before > zone.range_uj:
        raise MeterError(f"{zone.path}: the counter fell from {before}, beyond its range")
    return after + zone.range_uj - before


def _number(path: Path) -> int:
    text = _text(path)
    if not text.isdecimal() or (path.name == "max_energy_range_uj" and int(text) == 0):
        raise MeterError(f"{path}: {text[:40]!r} is not a counter's number")
    return int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except PermissionError:
        raise MeterError(
            f"{path}: permission denied; run the agent as root, who alone may read RAPL"
        ) from None
    except (OSError, ValueError) as error:
        raise MeterError(f"{path}: {error}; is --path.sysfs right?") from None
