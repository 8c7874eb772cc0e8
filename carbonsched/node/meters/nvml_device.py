"""One NVIDIA GPU as NVML shows it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from carbonsched.model.energy import Domain
from carbonsched.node.meters.counters import Device
from carbonsched.node.meters.meter import Gpu, Reading
from carbonsched.units import NS_PER_S

FROZEN_NS = 5 * NS_PER_S
"""A GPU's counter moves several times a second, also idle; one that stands so long is broken."""
UNDECLARED_LIMIT_W = 3000
"""No GPU draws more; for those that do not tell their power limit."""
_UJ_PER_MJ = 1000  # microjoules and millijoules, microwatts and milliwatts
_MW_PER_W = 1000
_RETRY_NS = NS_PER_S
_LONGEST_RETRY_NS = 60 * NS_PER_S


class NvmlDevice:
    """Its handle, how its energy is read, and its instances (MIG).

    Attributes:
        uuid: its name everywhere.
        index: its place in NVML's order, which is that of PCI addresses.
        gpu: how Slurm may call it, and the power limit that was enforced when it was last read.
        frozen: its energy counter stands still, so that power is read in its place.
        failures: calls that failed since the last that did not.
        retry_ns: it is left alone until then.
    """

    def __init__(self, nvml: Any, handle: Any, uuid: str, index: int) -> None:
        self.uuid = uuid
        self.index = index
        self.frozen = False
        self.failures = 0
        self.retry_ns = 0
        self._nvml = nvml
        self._handle = handle
        self._has_counter = True
        self._has_instant = True
        self._counted_mj = -1
        self._moved_ns = 0
        self._slices = 1
        self._instances: dict[str, int] = {}
        self._minor: int | None = None
        self._limit_w = UNDECLARED_LIMIT_W
        self._has_enforced = True
        self._enforced_w: int | None = None
        self.look(handle, index)

    @property
    def device(self) -> Device:
        """What its readings are judged by: half more than the highest limit that can be set."""
        return Device(domain=Domain.GPU, name=self.uuid, limit_w=self._limit_w)

    @property
    def counts(self) -> bool:
        """Whether its energy counter is read, as far as is known."""
        return self._has_counter and not self.frozen

    def look(self, handle: Any, index: int) -> None:
        """Take a new handle, and see what may have changed: its limit and its instances.

        What cannot be asked just now stays as it was.
        """
        self._handle = handle
        self.index = index
        with suppress(self._nvml.NVMLError):
            self._minor = self._nvml.nvmlDeviceGetMinorNumber(handle)
        with suppress(self._nvml.NVMLError):
            most_mw = self._nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)[1]
            if most_mw > 0:
                self._limit_w = -(-most_mw * 3 // 2000)
        with suppress(self._nvml.NVMLError):
            self._slices, self._instances = self._divided()
        self.gpu = Gpu(
            device=self.uuid,
            index=index,
            minor=self._minor,
            slices=self._slices,
            instances=self._instances,
            limit_w=self._enforced_w,
        )

    def read(self, steady_ns: int) -> Reading:
        """Its counter, or its power where it has no counter or that stands still.

        ``counted`` says which, as a state may still hold the other one. The enforced power limit
        is read with it, for anybody may change that at any time.

        Raises:
            pynvml.NVMLError: it does not answer, or has neither.
        """
        self._see_limit(self._enforced())
        counted_mj = self._counter_mj()
        if counted_mj is not None:
            if counted_mj != self._counted_mj:
                self._counted_mj, self._moved_ns = counted_mj, steady_ns
            self.frozen = steady_ns - self._moved_ns >= FROZEN_NS
            if not self.frozen:
                return self._reading(steady_ns, "uj", counted_mj)
        return self._reading(steady_ns, "uw", self._power_mw())

    def failed(self, steady_ns: int) -> None:
        """It did not answer: ask again at once, then after 1, 2, 4 ... 60 seconds."""
        wait_ns = 0 if self.failures == 0 else _RETRY_NS << min(self.failures - 1, 6)
        self.failures += 1
        self._see_limit(None)
        self.retry_ns = steady_ns + min(wait_ns, _LONGEST_RETRY_NS)

    def answered(self) -> None:
        """It did."""
        self.failures = self.retry_ns = 0

    def _see_limit(self, watts: int | None) -> None:
        if watts != self._enforced_w:
            self._enforced_w = watts
            self.gpu = replace(self.gpu, limit_w=watts)

    def _enforced(self) -> int | None:
        """Whole watts of the limit in force; ``None`` where it does not tell: energy goes first."""
        if not self._has_enforced:
            return None
        try:
            limit_mw = int(self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle))
        except self._nvml.NVMLError as error:
            self._has_enforced = not self._is_lacking(error)
            return None
        return round(limit_mw / _MW_PER_W) or None

    def _reading(self, steady_ns: int, unit: str, milli: int) -> Reading:
        return {
            f"{self.uuid}.{unit}": milli * _UJ_PER_MJ,
            f"{self.uuid}.at_ns": steady_ns,
            f"{self.uuid}.counted": int(unit == "uj"),
        }

    def _counter_mj(self) -> int | None:
        """Millijoules since the driver was loaded; ``None`` where it has no counter."""
        if not self._has_counter:
            return None
        try:
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._nvml.NVMLError as error:
            self._has_counter = not self._is_lacking(error)
            if self._has_counter:
                raise
        return None

    def _power_mw(self) -> int:
        """Power now; of most GPUs since Ampere the older call tells the mean of a second."""
        if self._has_instant:
            try:
                return self._instant_mw()
            except self._nvml.NVMLError as error:
                self._has_instant = not self._is_lacking(error)
                if self._has_instant:
                    raise
        return int(self._nvml.nvmlDeviceGetPowerUsage(self._handle))

    def _instant_mw(self) -> int:
        field = self._nvml.NVML_FI_DEV_POWER_INSTANT
        value = self._nvml.nvmlDeviceGetFieldValues(self._handle, [field])[0]
        if value.nvmlReturn:
            raise self._nvml.NVMLError(value.nvmlReturn)
        return int(value.value.uiVal)

    def _is_lacking(self, error: Any) -> bool:
        nvml = self._nvml
        lacking = (
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            nvml.NVML_ERROR_INVALID_ARGUMENT,  # older drivers, of a field they do not know
        )
        return error.value in lacking

    def _divided(self) -> tuple[int, dict[str, int]]:
        """Its compute slices, and those of its instances by UUID; 1 and none without MIG.

        Total: nvmlDeviceGetMaxMigDeviceCount, 7 on A100 and H100, 4 on A30, as no instance is
        smaller than a slice. An instance: computeInstanceSliceCount of its attributes. The other
        count there, gpuInstanceSliceCount, is that of the whole GPU instance, which several compute
        instances may share: their sum would exceed the GPU.
        """
        nvml, handle = self._nvml, self._handle
        try:
            on = nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
        except nvml.NVMLError as error:
            if not self._is_lacking(error):
                raise
            on = False
        if not on:
            return 1, {}
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
        instances = {}
        for place in range(most):
            try:
                instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
            except nvml.NVMLError_NotFound:
                continue
            slices = nvml.nvmlDeviceGetAttributes(instance).computeInstanceSliceCount
            instances[_text(nvml.nvmlDeviceGetUUID(instance))] = max(1, int(slices))
        return max(1, most, sum(instances.values())), instances


def device_uuid(nvml: Any, handle: Any) -> str:
    """The UUID behind a handle.

    Raises:
        pynvml.NVMLError: the device does not answer.
    """
    return _text(nvml.nvmlDeviceGetUUID(handle))


def _text(value: str | bytes) -> str:
    """Older releases of pynvml answer with bytes."""
    return value.decode() if isinstance(value, bytes) else value
