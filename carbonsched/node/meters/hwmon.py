"""Whole-node power by ACPI's power meter, which Linux shows as hwmon ``power_meter``.

It is how boards with DCMI tell their power without ipmitool. Facts from Linux's
Documentation/hwmon: ``power1_average`` is microwatts averaged over ``power1_average_interval``
milliseconds, ``power1_input`` microwatts now, ``energy1_input`` a counter in microjoules. Before
Linux 6 the files lie in ``device/`` under the hwmon folder. A reading asks the management
controller and may take long.
"""

from __future__ import annotations

import re
from pathlib import Path

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain
from carbonsched.node.journal import Journal
from carbonsched.node.meters.counters import (
    LONGEST_SAMPLED_NS,
    NODE_LIMIT_W,
    Device,
    counted,
    sampled,
)
from carbonsched.node.meters.meter import DomainEnergy, Reading
from carbonsched.node.meters.sysfs import OpenFile, names_in, reason
from carbonsched.units import UJ_PER_J

_FILES = (
    ("uj", re.compile(r"energy[0-9]+_input")),
    ("uw", re.compile(r"power[0-9]+_average")),
    ("uw", re.compile(r"power[0-9]+_input")),
)
"""What is read, best first."""


class HwmonMeter:
    """The board's power meter."""

    key = "hwmon"
    longest_gap_ns = LONGEST_SAMPLED_NS

    def __init__(self, path: str, unit: str, journal: Journal) -> None:
        self._unit = unit
        self._file = OpenFile(path)
        self._journal = journal
        sensor = path.rpartition("/")[2].partition("_")[0]
        self.name = f"hwmon {sensor}"
        self._device = Device(domain=Domain.NODE, name=self.name, limit_w=NODE_LIMIT_W)

    @classmethod
    def find(cls, sysfs: Path, journal: Journal) -> HwmonMeter | None:
        """The board's power meter, or ``None`` where it has none that answers.

        Raises:
            MeterError: the sensors may not be listed.
        """
        try:
            found = _meters(str(sysfs / "class/hwmon"))
        except PermissionError as error:
            raise MeterError(
                f"{error.filename}: permission denied; run the agent as root"
            ) from None
        for path, unit in found:
            meter = cls(path, unit, journal)
            try:
                meter.read(0)
            except MeterError as error:
                journal.trouble(f"hwmon {path}", f"{error}; not used")
                continue
            others = len({other.rpartition("/")[0] for other, _ in found}) - 1
            if others:
                journal.say(f"{path} is taken for the whole node; {others} other power meters not")
            return meter
        return None

    def read(self, steady_ns: int) -> Reading:
        """Its power or its counter.

        Raises:
            MeterError: it does not answer, or says what cannot be.
        """
        try:
            number = self._file.number()
            if self._unit == "uw" and not 0 < number <= NODE_LIMIT_W * UJ_PER_J:
                raise ValueError(f"{number} uW is no node's power")  # noqa: TRY301
        except (OSError, ValueError) as error:
            raise MeterError(f"{self._file.path}: {reason(error)}") from None
        return {f"{self.name}.{self._unit}": number, f"{self.name}.at_ns": steady_ns}

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """The node's energy: by its counter, or by its power over time."""
        del busy_ns
        if self._unit == "uw":
            energy = sampled(self._device, before, after, length_ns)
        else:
            result = counted(self._device, before, after, length_ns)
            energy = result.energy
            if result.reset:
                self._journal.trouble("hwmon reset", f"{self._file.path}: the counter was reset")
        return () if energy is None else (energy,)

    def close(self) -> None:
        """Let go of its file."""
        self._file.close()


def _meters(folder: str) -> list[tuple[str, str]]:
    """Files of ACPI power meters with what they hold, meters in order, best file first."""
    found: list[tuple[str, str]] = []
    chips = [name for name in names_in(folder) if re.fullmatch(r"hwmon[0-9]+", name)]
    for chip in sorted(chips, key=lambda name: int(name.removeprefix("hwmon"))):
        for place in (f"{folder}/{chip}", f"{folder}/{chip}/device"):
            if _name(place) == "power_meter":
                names = names_in(place)
                found += [
                    (f"{place}/{name}", unit)
                    for unit, pattern in _FILES
                    for name in names
                    if pattern.fullmatch(name)
                ]
    return found


def _name(place: str) -> str | None:
    file = OpenFile(f"{place}/name")
    try:
        return file.text()
    except (OSError, ValueError):
        return None
    finally:
        file.close()
