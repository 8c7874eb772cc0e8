"""Power of a board by ACPI's power meters, which Linux shows as hwmon ``power_meter``.

It is how boards with DCMI tell their power without ipmitool. Facts from Linux's
Documentation/hwmon: ``power1_average`` is microwatts averaged over ``power1_average_interval``
milliseconds, ``power1_input`` microwatts now, ``energy1_input`` a counter in microjoules. Before
Linux 6 the files lie in ``device/`` under the hwmon folder. A reading asks the management
controller and may take long.

One meter is that of the whole node. NVIDIA's Grace boards have up to four for each socket, and
``power1_oem_info`` says which is which (NVIDIA, "Grace Performance Tuning Guide", Power
Telemetry): ``Module Power Socket 0`` is a whole module with its GPU and memory, ``Grace Power`` of
it what the Grace chip draws, ``CPU Power`` of that the cores' rail, and ``SysIO Power`` another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
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
    ("uj", re.compile(r"energy([0-9]+)_input")),
    ("uw", re.compile(r"power([0-9]+)_average")),
    ("uw", re.compile(r"power([0-9]+)_input")),
)
"""What is read, best first."""
_OEM = re.compile(r"(Module|Grace|CPU|SysIO) Power Socket ([0-9]+)")
_SUMMED = (("Module", Domain.NODE), ("Grace", Domain.CPU), ("CPU", Domain.CPU))
"""Which of Grace's meters are added up over the sockets, best first."""


@dataclass(frozen=True, slots=True)
class _Sensor:
    """One power meter: its files with what they hold, best first, and what its maker calls it."""

    files: tuple[tuple[str, str], ...]
    oem: str


@dataclass(frozen=True, slots=True)
class _Choice:
    """Files that are added up and what they are together."""

    name: str
    domain: Domain
    paths: tuple[str, ...]
    unit: str


class HwmonMeter:
    """The board's power meter, or several that are added up; one that fails fails all of them."""

    key = "hwmon"
    longest_gap_ns = LONGEST_SAMPLED_NS

    def __init__(self, choice: _Choice, journal: Journal) -> None:
        self.name = choice.name
        self._unit = choice.unit
        self._files = [OpenFile(path) for path in choice.paths]
        self._journal = journal
        self._device = Device(domain=choice.domain, name=choice.name, limit_w=NODE_LIMIT_W)

    @classmethod
    def find(cls, sysfs: Path, journal: Journal) -> HwmonMeter | None:
        """The board's power meter, or ``None`` where it has none that answers.

        Raises:
            MeterError: the sensors may not be listed.
        """
        try:
            sensors = _sensors(str(sysfs / "class/hwmon"))
        except PermissionError as error:
            raise MeterError(
                f"{error.filename}: permission denied; run the agent as root"
            ) from None
        for choice in _choices(sensors, journal):
            meter = cls(choice, journal)
            try:
                meter.read(0)
            except MeterError as error:
                meter.close()
                journal.trouble(f"hwmon {choice.paths[0]}", f"{error}; not used")
                continue
            return meter
        return None

    @property
    def has_cpu(self) -> bool:
        """Whether it tells processors."""
        return self._device.domain is Domain.CPU

    @property
    def has_node(self) -> bool:
        """Whether it tells the whole node."""
        return self._device.domain is Domain.NODE

    def read(self, steady_ns: int) -> Reading:
        """Its power or its counter.

        Raises:
            MeterError: it does not answer, or says what cannot be.
        """
        total = sum(self._number(file) for file in self._files)
        return {f"{self.name}.{self._unit}": total, f"{self.name}.at_ns": steady_ns}

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """Energy by its counter, or by its power over time."""
        del busy_ns
        if self._unit == "uw":
            energy = sampled(self._device, before, after, length_ns)
        else:
            result = counted(self._device, before, after, length_ns)
            energy = result.energy
            if result.reset:
                self._journal.trouble("hwmon reset", f"{self.name}: the counter was reset")
        return () if energy is None else (energy,)

    def close(self) -> None:
        """Let go of its files."""
        for file in self._files:
            file.close()

    def _number(self, file: OpenFile) -> int:
        try:
            number = file.number()
            if self._unit == "uw" and not 0 < number <= NODE_LIMIT_W * UJ_PER_J:
                raise ValueError(f"{number} uW is no node's power")  # noqa: TRY301
        except (OSError, ValueError) as error:
            raise MeterError(f"{file.path}: {reason(error)}") from None
        return number


def _choices(sensors: Sequence[_Sensor], journal: Journal) -> list[_Choice]:
    """What the meter may be, best first: a single sensor's files, or Grace's sensors added up."""
    sockets: dict[str, dict[int, _Sensor]] = {}
    for sensor in sensors:
        match = _OEM.fullmatch(sensor.oem)
        if match is not None:
            sockets.setdefault(match[1], {})[int(match[2])] = sensor
    if sockets:
        return _of_grace(sockets, journal)
    if len(sensors) > 1:
        journal.once(
            f"{sensors[0].files[0][0]} is one of {len(sensors)} power meters, and nothing says"
            " which of them is that of the whole node: none is used"
        )
        return []
    return [
        _Choice(f"hwmon {_sensor_name(path)}", Domain.NODE, (path,), unit)
        for sensor in sensors
        for path, unit in sensor.files
    ]


def _of_grace(sockets: dict[str, dict[int, _Sensor]], journal: Journal) -> list[_Choice]:
    """The best of Grace's meters that all sockets have; a sum without one of them would be less."""
    everywhere = {socket for sensors in sockets.values() for socket in sensors}
    for kind, domain in _SUMMED:
        found = sockets.get(kind, {})
        powers = [[path for path, unit in one.files if unit == "uw"] for one in found.values()]
        if found.keys() == everywhere and all(powers):
            count = f"{len(found)} socket{'s' if len(found) != 1 else ''}"
            paths = tuple(each[0] for each in powers)
            return [_Choice(f"hwmon {kind.lower()} power of {count}", domain, paths, "uw")]
    journal.once(
        f"the power meters of {len(everywhere)} sockets do not go together"
        f" ({', '.join(f'{len(sockets[kind])} {kind}' for kind in sorted(sockets))}):"
        " none is used"
    )
    return []


def _sensors(folder: str) -> list[_Sensor]:
    """ACPI power meters in order."""
    found: list[_Sensor] = []
    chips = [name for name in names_in(folder) if re.fullmatch(r"hwmon[0-9]+", name)]
    for chip in sorted(chips, key=lambda name: int(name.removeprefix("hwmon"))):
        places = (f"{folder}/{chip}", f"{folder}/{chip}/device")
        if any(_text(f"{place}/name") == "power_meter" for place in places):
            # In one of the two places; where both show the files they are the same.
            found += next((sensors for place in places if (sensors := _in(place))), [])
    return found


def _in(place: str) -> list[_Sensor]:
    """The sensors of a chip whose files lie there, by number."""
    names = names_in(place)
    files: dict[int, list[tuple[str, str]]] = {}
    for unit, pattern in _FILES:
        for name in names:
            match = pattern.fullmatch(name)
            if match is not None:
                files.setdefault(int(match[1]), []).append((f"{place}/{name}", unit))
    return [
        _Sensor(tuple(files[number]), _text(f"{place}/power{number}_oem_info") or "")
        for number in sorted(files)
    ]


def _sensor_name(path: str) -> str:
    return path.rpartition("/")[2].partition("_")[0]


def _text(path: str) -> str | None:
    file = OpenFile(path)
    try:
        return file.text()
    except (OSError, ValueError):
        return None
    finally:
        file.close()
