"""HPE Cray's power management counters: /sys/cray/pm_counters.

Facts from HPE's "User Access to Compute Node Power Data": each ``energy`` file holds joules since
the node controller started and when it was updated, ``2178501771 J 1751467200123456 us``, ten times
a second; ``energy`` is the whole node with its accelerators, ``cpu_energy``, ``memory_energy`` and
``accelN_energy`` are within it; ``startup`` counts the controller's starts; ``generation`` changes
with the power cap and means nothing here. What one ``accel`` is differs: on some nodes it is a
module of two GPUs.
"""

from __future__ import annotations

import re
from pathlib import Path

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain
from carbonsched.node.journal import Journal
from carbonsched.node.meters.counters import NODE_LIMIT_W, Device, counted
from carbonsched.node.meters.meter import DomainEnergy, Gpu, Reading
from carbonsched.node.meters.sysfs import OpenFile, names_in, reason
from carbonsched.units import NS_PER_S, UJ_PER_J

RESCAN_NS = 60 * NS_PER_S
STALE_NS = 2 * NS_PER_S
"""A counter that says the same instant for longer is not being updated."""

_ACCELERATOR = re.compile(r"(accel([0-9]+))_energy")
_ENERGY = re.compile(r"([0-9]+)(?: J)?(?: +([0-9]+) us)?")
_DOMAINS = {
    "energy": (Domain.NODE, "cray node", NODE_LIMIT_W),
    "cpu_energy": (Domain.CPU, "cray cpu", 6_000),
    "memory_energy": (Domain.MEMORY, "cray memory", 3_000),
}


class _Counter:
    """One file, and when its content last changed."""

    def __init__(self, path: str, device: Device) -> None:
        self.device = device
        self.file = OpenFile(path)
        self._stamp = ""
        self._fresh_ns = 0

    def read(self, steady_ns: int) -> tuple[int, int]:
        """Microjoules, and the last instant at which they were certainly up to date."""
        text = self.file.text()
        match = _ENERGY.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not an energy in joules")
        stamp = match[2]
        if stamp is None or stamp != self._stamp or steady_ns < self._fresh_ns:
            self._stamp, self._fresh_ns = stamp or "", steady_ns
        stale = steady_ns - self._fresh_ns > STALE_NS
        return int(match[1]) * UJ_PER_J, self._fresh_ns if stale else steady_ns

    def forget(self) -> None:
        """Whatever it says next is new."""
        self._stamp = ""


class CrayMeter:
    """The node's counters, in whole joules, ten times a second."""

    key = "cray"
    longest_gap_ns = 24 * 3600 * NS_PER_S

    def __init__(self, sysfs: Path, journal: Journal, declared_gpus: int = 0) -> None:
        self._declared_gpus = declared_gpus
        self._folder = str(sysfs / "cray/pm_counters")
        self._journal = journal
        self._counters: dict[str, _Counter] = {}
        self._startup = OpenFile(f"{self._folder}/startup")
        self._scanned_ns: int | None = None
        self._scan()

    @classmethod
    def find(cls, sysfs: Path, journal: Journal, declared_gpus: int = 0) -> CrayMeter | None:
        """The node's counters, or ``None`` where it has none.

        ``declared_gpus`` is how many GPUs Slurm counts on the node, 0 if nobody said.

        Raises:
            MeterError: they are there and cannot be read.
        """
        meter = cls(sysfs, journal, declared_gpus)
        if not meter._counters:
            return None
        meter.read(0)
        for counter in meter._counters.values():
            counter.forget()  # that was no instant
        return meter

    @property
    def name(self) -> str:
        """``cray(node, cpu, memory, 4 accelerators)``."""
        accelerators = len(self._accelerators())
        parts = [name.removeprefix("cray ") for name in self._counters if name.startswith("cray ")]
        if accelerators:
            parts.append(f"{accelerators} accelerators")
        return f"cray({', '.join(parts)})"

    @property
    def has_cpu(self) -> bool:
        """Whether it tells processors apart from the node."""
        return "cray cpu" in self._counters

    @property
    def has_node(self) -> bool:
        """Whether it tells the whole node."""
        return "cray node" in self._counters

    def gpus(self) -> tuple[Gpu, ...]:
        """Slurm's GPUs: an accelerator each, or several on each where so many are declared.

        An accelerator with two dies (MI250X) has one counter and is two GPUs. Where nobody said how
        many there are, each accelerator is taken for one.
        """
        names = self._accelerators()
        on_each = 1
        if names and self._declared_gpus % len(names) == 0:
            on_each = max(1, self._declared_gpus // len(names))
        return tuple(
            Gpu(device=name, index=number * on_each + die)
            for name, number in names.items()
            for die in range(on_each)
        )

    def _accelerators(self) -> dict[str, int]:
        """Names and numbers of the accelerators with a counter, in order."""
        names = [one for one, counter in self._counters.items() if _is_gpu(counter)]
        numbers = {name: int(name.removeprefix("accel")) for name in names}
        return dict(sorted(numbers.items(), key=lambda item: item[1]))

    def read(self, steady_ns: int) -> Reading:
        """Each counter in microjoules; one that is not being updated keeps its last instant."""
        if self._scanned_ns is None:
            self._scanned_ns = steady_ns
        elif steady_ns - self._scanned_ns >= RESCAN_NS:
            self._scanned_ns = steady_ns
            self._scan()
        reading: Reading = {}
        failure = f"{self._folder}: its counters are gone"
        for name, counter in self._counters.items():
            try:
                reading[f"{name}.uj"], reading[f"{name}.at_ns"] = counter.read(steady_ns)
            except (OSError, ValueError) as error:
                failure = f"{counter.file.path}: {reason(error)}"
                self._journal.trouble(f"cray {name}", f"{failure}; left out")
            else:
                self._journal.over(f"cray {name}", f"{counter.file.path} can be read again")
        if not reading:
            raise MeterError(failure)
        try:
            reading["startup"] = int(self._startup.text().split()[0])
        except (OSError, ValueError, IndexError):
            reading.pop("startup", None)  # older systems do not have it
        return reading

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """Energy by counter; none if the node controller was started anew between them."""
        del busy_ns
        startups = {reading["startup"] for reading in (before, after) if "startup" in reading}
        told: list[DomainEnergy] = []
        for name, counter in self._counters.items():
            result = counted(counter.device, before, after, length_ns)
            if result.energy is None:
                continue
            restarted = len(startups) > 1
            if result.reset or restarted:
                self._journal.trouble(
                    f"cray reset {name}",
                    f"{name}: the counter was reset, or makes no sense: 0 J for that time",
                )
            told.append(counter.device.none() if restarted else result.energy)
        return tuple(told)

    def close(self) -> None:
        """Let go of its files."""
        for file in (self._startup, *(counter.file for counter in self._counters.values())):
            file.close()

    def _scan(self) -> None:
        """Take in counters that have appeared; those that vanished fail when they are read."""
        try:
            files = names_in(self._folder)
        except PermissionError:
            raise MeterError(f"{self._folder}: permission denied; run the agent as root") from None
        for file in files:
            device = _device(file)
            if device is not None and device.name not in self._counters:
                self._counters[device.name] = _Counter(f"{self._folder}/{file}", device)


def _device(file: str) -> Device | None:
    if file in _DOMAINS:
        domain, name, limit_w = _DOMAINS[file]
        return Device(domain=domain, name=name, limit_w=limit_w)
    match = _ACCELERATOR.fullmatch(file)
    return None if match is None else Device(domain=Domain.GPU, name=match[1], limit_w=3_000)


def _is_gpu(counter: _Counter) -> bool:
    return counter.device.domain is Domain.GPU
