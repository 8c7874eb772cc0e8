"""NVIDIA GPUs through NVML: energy counters where they have them, else sampled power.

The counter (nvmlDeviceGetTotalEnergyConsumption, millijoules since the driver was loaded) belongs
to the whole GPU, also where MIG divides it. Parameters are as in NVIDIA's NVML API reference.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.journal import Journal
from carbonsched.node.meters.counters import LONGEST_SAMPLED_NS, Device, counted, sampled
from carbonsched.node.meters.meter import DomainEnergy, Gpu, Reading
from carbonsched.node.meters.nvml_device import UNDECLARED_LIMIT_W, NvmlDevice, device_uuid
from carbonsched.units import NS_PER_S

LIBRARY = "libnvidia-ml.so.1"
LOOK_NS = 60 * NS_PER_S
"""How often devices and instances are looked for again."""
HOPELESS = 3
"""Where every device failed so often, NVML is opened anew."""
LONGEST_REOPEN_NS = 640 * NS_PER_S
STILL_NS = NS_PER_S // 2
"""A counter that did not move for so long tells nothing: a GPU always draws something."""
_DAYS = 30


class NvmlMeter:
    """All GPUs that the driver shows; each is a device by its UUID, and they add up.

    ``read`` and ``look`` are for one thread at a time; the rest may be asked meanwhile. ``errors``
    counts the calls that failed so far.
    """

    key = "nvml"

    def __init__(self, nvml: Any, journal: Journal) -> None:
        self.errors = 0
        self._nvml = nvml
        self._journal = journal
        self._devices: dict[str, NvmlDevice] = {}
        self._look_ns = 0
        self._open = True
        self._reopen_ns = 0
        self._reopen_wait_ns = LOOK_NS
        self._last_error = ""

    @classmethod
    def find(cls, journal: Journal, sysfs: Path) -> NvmlMeter | None:
        """The machine's NVIDIA GPUs, or ``None`` where there are none.

        That no driver is loaded is a fault only where there is an NVIDIA GPU: many nodes without
        one have the library.

        Raises:
            MeterError: the driver or all of the devices refuse; what it says has the remedy.
        """
        try:
            ctypes.CDLL(LIBRARY)
        except OSError:
            return None
        # Loaded only now: a node without GPUs is spared its memory.
        nvml = import_module("pynvml")
        meter = cls(nvml, journal)
        refusal = ""
        try:
            nvml.nvmlInit()
            meter.look()
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_DRIVER_NOT_LOADED or _has_nvidia(sysfs):
                refusal = f"NVML cannot be read: {_told(nvml, error)}"
        if meter.gpus():
            return meter
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()
        if meter.errors and not refusal:
            refusal = f"no NVIDIA GPU answers: {meter._last_error}"
        if refusal:
            raise MeterError(refusal)
        return None

    @property
    def name(self) -> str:
        """As in ``nvml(8 GPUs)``."""
        count = len(self._devices)
        return f"nvml({count} GPU{'s' if count != 1 else ''})"

    @property
    def longest_gap_ns(self) -> int:
        """That of the devices with a counter, whose 64 bits of millijoules do not wrap."""
        devices = tuple(self._devices.values())  # at once: another thread may be looking
        counts = any(one.counts for one in devices)
        return _DAYS * 86_400 * NS_PER_S if counts else LONGEST_SAMPLED_NS

    def gpus(self) -> tuple[Gpu, ...]:
        """In NVML's order. One that is lost stays listed: jobs have it all the same."""
        devices = tuple(self._devices.values())  # at once: another thread may be looking
        return tuple(sorted((one.gpu for one in devices), key=lambda gpu: gpu.index))

    def look(self) -> None:
        """See which devices and instances there are, as when a job has one that is not known.

        Raises:
            pynvml.NVMLError: the driver does not answer. A device that does not is left as it was.
        """
        found: dict[str, tuple[int, Any]] = {}
        for index in range(self._nvml.nvmlDeviceGetCount()):
            try:
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                found[device_uuid(self._nvml, handle)] = (index, handle)
            except self._nvml.NVMLError as error:
                self._failed(f"GPU {index}", error)
        # Slurm counts as it did when slurmd started: a lost GPU must not renumber the others.
        renumber = len(found) >= len(self._devices)
        for uuid, (index, handle) in found.items():
            known = self._devices.get(uuid)
            if known is None:
                self._devices[uuid] = NvmlDevice(self._nvml, handle, uuid, index)
            else:
                known.look(handle, index if renumber else known.index)

    def read(self, steady_ns: int) -> Reading:
        """Counter (``UUID.uj``) or power (``UUID.uw``) of each device, and when it was read.

        Raises:
            MeterError: none of them answers.
        """
        self._look_when_due(steady_ns)
        reading: Reading = {}
        for device in self._devices.values():
            if self._open and steady_ns >= device.retry_ns:
                reading |= self._read(device, steady_ns)
        if not reading:
            self._open &= min(one.failures for one in self._devices.values()) < HOPELESS
            raise MeterError(f"no NVIDIA GPU answers: {self._last_error}")
        return reading

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """By counters ``MEASURED``, by power ``SAMPLED``, and ``PARTIAL`` where either failed."""
        del busy_ns
        energies = []
        for name in (key.removesuffix(".at_ns") for key in before if key.endswith(".at_ns")):
            known = self._devices.get(name)
            device = known.device if known else _unknown(name)
            energies.append(_between(device, before, after, length_ns))
        return tuple(energies)

    def _read(self, device: NvmlDevice, steady_ns: int) -> Reading:
        was_frozen = device.frozen
        try:
            reading = device.read(steady_ns)
        except self._nvml.NVMLError as error:
            device.failed(steady_ns)
            self._failed(device.uuid, error)
            if error.value in self._of_driver():
                self._open = False
            return {}
        if device.failures:
            device.answered()
            self._journal.over(f"nvml {device.uuid}", f"{device.uuid} answers again")
        if device.frozen and not was_frozen:
            self._journal.say(f"the energy counter of {device.uuid} stands still: power is sampled")
        return reading

    def _look_when_due(self, steady_ns: int) -> None:
        """Devices and instances once a minute; a driver that went away at most so often.

        A first attempt to open NVML again comes at once, the next ones a minute, then two, four ...
        later.
        """
        if self._open and steady_ns < self._look_ns:
            return
        if not self._open and steady_ns < self._reopen_ns:
            return
        self._look_ns = steady_ns + LOOK_NS
        try:
            if not self._open:
                self._reopen(steady_ns)
            self.look()
        except self._nvml.NVMLError as error:
            self._open = False
            self._failed("NVML", error)
        else:
            self._journal.over("nvml NVML", "NVML answers again")

    def _reopen(self, steady_ns: int) -> None:
        if steady_ns - self._reopen_ns > LONGEST_REOPEN_NS:
            self._reopen_wait_ns = LOOK_NS  # it was well for a while
        self._reopen_ns = steady_ns + self._reopen_wait_ns
        self._reopen_wait_ns = min(2 * self._reopen_wait_ns, LONGEST_REOPEN_NS)
        with suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()
        self._nvml.nvmlInit()
        self._open = True
        for device in self._devices.values():
            device.retry_ns = 0

    def _failed(self, who: str, error: Any) -> None:
        self.errors += 1
        self._last_error = _told(self._nvml, error)
        self._journal.trouble(f"nvml {who}", f"{who} cannot be read: {self._last_error}")

    def _of_driver(self) -> tuple[int, ...]:
        nvml = self._nvml
        return (
            nvml.NVML_ERROR_UNINITIALIZED,
            nvml.NVML_ERROR_DRIVER_NOT_LOADED,
            nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
        )


def _between(device: Device, before: Reading, after: Reading, length_ns: int) -> DomainEnergy:
    """One device; ``none`` where its readings do not tell.

    A counter that stood still, and what it says when it moves again, is not believed: power was
    sampled meanwhile. Over the interval in which one takes turns with the other the power that is
    known stands for the whole.
    """
    counts = (before.get(f"{device.name}.counted"), after.get(f"{device.name}.counted"))
    elapsed_ns = after.get(f"{device.name}.at_ns", 0) - before[f"{device.name}.at_ns"]
    if elapsed_ns <= 0:
        return device.none()
    if counts == (1, 1):
        energy = counted(device, before, after, length_ns).energy or device.none()
        still = energy.energy_uj == 0 and elapsed_ns >= STILL_NS
        return device.none() if still else energy
    if counts == (0, 0):
        return sampled(device, before, after, length_ns) or device.none()
    power_uw = (before if counts[0] == 0 else after).get(f"{device.name}.uw", 0)
    if elapsed_ns > LONGEST_SAMPLED_NS or not 0 <= power_uw <= device.limit_w * 10**6:
        return device.none()
    return device.drew(power_uw * elapsed_ns // NS_PER_S, Quality.PARTIAL)


def _unknown(name: str) -> Device:
    return Device(domain=Domain.GPU, name=name, limit_w=UNDECLARED_LIMIT_W * 3 // 2)


def _has_nvidia(sysfs: Path) -> bool:
    """Whether there is a display or compute device of NVIDIA's on the PCI bus."""
    for device in (sysfs / "bus/pci/devices").glob("*"):
        with suppress(OSError):
            nvidia = (device / "vendor").read_text().strip() == "0x10de"
            if nvidia and (device / "class").read_text().startswith("0x03"):
                return True
    return False


def _told(nvml: Any, error: Any) -> str:
    """What NVML says and what to do about it."""
    remedies = {
        nvml.NVML_ERROR_NO_PERMISSION: "run the agent as root",
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "load the NVIDIA driver",
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was replaced: reboot the node",
        nvml.NVML_ERROR_GPU_IS_LOST: "reset the GPU or reboot the node",
        nvml.NVML_ERROR_UNKNOWN: "see the kernel's log",
    }
    remedy = remedies.get(error.value)
    return f"{error}; {remedy}" if remedy else str(error)
