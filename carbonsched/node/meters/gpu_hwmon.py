"""AMD's and Intel's GPUs through the kernel's hwmon files: amdgpu, i915 and xe.

AMD tells power (``power1_input``, else ``power1_average``, microwatts), Intel a counter
(``energy1_input``, microjoules); a counter is taken wherever there is one. Sources: the kernel's
Documentation/gpu/amdgpu/thermal.rst and ABI/testing/sysfs-driver-intel-{i915,xe}-hwmon.

Of the two dies of an MI250 only one tells power, that of both (``aldebaran_ppt.c``: "Only primary
die supports power data"). They are one device here, of which each is half.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain
from carbonsched.node.journal import Journal
from carbonsched.node.meters.counters import LONGEST_SAMPLED_NS, Device, counted, sampled
from carbonsched.node.meters.meter import DomainEnergy, Gpu, Reading
from carbonsched.node.meters.sysfs import OpenFile, names_in, reason
from carbonsched.units import NS_PER_S

LOOK_NS = 60 * NS_PER_S
UNDECLARED_LIMIT_W = 3000
REGISTER_J = 262_144
"""Intel's register has 32 bits of 2^-14 J; the kernel sees one that went round only when it is
read in time."""
_AMD, _INTEL = ("amdgpu",), ("i915", "xe")
_TWO_DIES = ("0x7408", "0x740c")  # PCI devices: MI250X and MI250
_WITH_CPUS = ("0x74a0",)  # MI300A: its power is that of its CPU cores too


@dataclass(frozen=True, slots=True)
class _Card:
    """One GPU: what it is called, where its figure is read, and the dies that figure covers."""

    device: Device
    address: str
    unit: str
    file: OpenFile
    dies: int = 1

    @property
    def longest_gap_ns(self) -> int:
        """A counter that was not read for longer may have gone round unseen."""
        if self.unit == "uw":
            return LONGEST_SAMPLED_NS
        return REGISTER_J * NS_PER_S // self.device.limit_w


class GpuHwmonMeter:
    """All of them; ``errors`` counts the readings that failed so far."""

    key = "gpu-hwmon"

    def __init__(self, sysfs: Path, cards: tuple[_Card, ...], journal: Journal) -> None:
        self.errors = 0
        self._sysfs = sysfs
        self._cards = cards
        self._journal = journal
        self._look_ns = 0

    @classmethod
    def find(cls, sysfs: Path, journal: Journal) -> GpuHwmonMeter | None:
        """The machine's AMD and Intel GPUs that tell power, or ``None`` where there are none.

        Graphics inside a processor are left out: RAPL counts them with the processor.
        """
        cards = _find(sysfs, journal)
        return cls(sysfs, cards, journal) if cards else None

    @property
    def name(self) -> str:
        """As in ``gpu-hwmon(4 GPUs)``."""
        count = len(self.gpus())
        return f"{self.key}({count} GPU{'s' if count != 1 else ''})"

    @property
    def longest_gap_ns(self) -> int:
        """The longest of its devices; each one's own is judged in between."""
        return max((card.longest_gap_ns for card in self._cards), default=LONGEST_SAMPLED_NS)

    def gpus(self) -> tuple[Gpu, ...]:
        """In the order of PCI addresses; the dies of one card are entries with one device."""
        names = [card.device.name for card in self._cards for _ in range(card.dies)]
        return tuple(Gpu(device=name, index=index) for index, name in enumerate(names))

    def look(self) -> None:
        """See which cards there are, as after a driver was loaded anew."""
        known = {card.address for card in self._cards}
        found = _find(self._sysfs, self._journal)
        # A card that is lost for a while must not renumber the others.
        if known <= {card.address for card in found}:
            for card in self._cards:
                card.file.close()
            self._cards = found

    def read(self, steady_ns: int) -> Reading:
        """``NAME.uj`` or ``NAME.uw`` of each device, and when it was read.

        Raises:
            MeterError: none of them answers.
        """
        reading: Reading = {}
        failure = ""
        for card in self._cards:
            name = card.device.name
            try:
                reading[f"{name}.{card.unit}"] = card.file.number()
            except (OSError, ValueError) as error:
                failure = f"{card.file.path}: {reason(error)}"
                self.errors += 1
                self._journal.trouble(f"{self.key} {name}", f"GPU {name}: {failure}")
                continue
            reading[f"{name}.at_ns"] = steady_ns
            self._journal.over(f"{self.key} {name}", f"GPU {name} answers again")
        if failure and steady_ns >= self._look_ns:
            self._look_ns = steady_ns + LOOK_NS
            self.look()
        if not reading:
            raise MeterError(f"no AMD or Intel GPU answers: {failure}")
        return reading

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """By counters ``MEASURED``, by power ``SAMPLED``, and ``PARTIAL`` where they failed."""
        del busy_ns
        energies = (_between(card, before, after, length_ns) for card in self._cards)
        return tuple(energy for energy in energies if energy is not None)


def _between(card: _Card, before: Reading, after: Reading, length_ns: int) -> DomainEnergy | None:
    if card.unit == "uw":
        return sampled(card.device, before, after, length_ns)
    key = f"{card.device.name}.at_ns"
    if key in before and after.get(key, 0) - before[key] > card.longest_gap_ns:
        return card.device.none()
    return counted(card.device, before, after, length_ns).energy


def _find(sysfs: Path, journal: Journal) -> tuple[_Card, ...]:
    cards: list[_Card] = []
    for address, hwmon in _drivers(sysfs):
        pci = f"{hwmon}/device"
        model = _text(f"{pci}/device")
        if model in _WITH_CPUS:
            journal.say(f"the power of {address} is that of its CPUs too: it is no GPU's")
            continue
        unit, file = _figure(hwmon)
        if model in _TWO_DIES and cards and cards[-1].dies == 1 and not _tells(file):
            cards[-1] = replace(cards[-1], dies=2)
            continue
        # amdgpu has no cap for graphics inside a processor, and their power is the processor's.
        inside = _text(f"{hwmon}/name") in _AMD and not _text(f"{hwmon}/power1_cap")
        if file is None or inside:
            continue
        device = Device(domain=Domain.GPU, name=address, limit_w=_limit_w(hwmon))
        cards.append(_Card(device, address, unit, file))
    return tuple(cards)


def _drivers(sysfs: Path) -> list[tuple[str, str]]:
    """(PCI address, hwmon folder) of each GPU; ``i915_gt0`` and the like are parts of ``i915``."""
    found = []
    for name in names_in(f"{sysfs}/class/hwmon"):
        folder = f"{sysfs}/class/hwmon/{name}"
        if _text(f"{folder}/name") in (*_AMD, *_INTEL):
            found.append((os.path.basename(os.path.realpath(f"{folder}/device")), folder))  # noqa: PTH119
    return sorted(found)


def _figure(hwmon: str) -> tuple[str, OpenFile | None]:
    """Where it tells energy, the card's rather than the package's, or else power."""
    labels = {}
    for number in (3, 2, 1):
        if _text(f"{hwmon}/energy{number}_input"):
            labels[_text(f"{hwmon}/energy{number}_label") or "card"] = number
    for label in ("card", "pkg"):
        if label in labels:
            return "uj", OpenFile(f"{hwmon}/energy{labels[label]}_input")
    for name in ("power1_input", "power1_average"):
        if Path(hwmon, name).exists():
            return "uw", OpenFile(f"{hwmon}/{name}")
    return "uw", None


def _tells(file: OpenFile | None) -> bool:
    try:
        return file is not None and file.number() > 0
    except (OSError, ValueError):
        return False


def _limit_w(hwmon: str) -> int:
    """Half more than the highest limit that can be set."""
    for name in ("power1_cap_max", "power1_rated_max", "power1_max"):
        text = _text(f"{hwmon}/{name}")
        if text.isdecimal() and int(text) > 0:
            return -(-int(text) * 3 // 2_000_000)
    return UNDECLARED_LIMIT_W


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
