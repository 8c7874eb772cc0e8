"""Carries what a node's GPUs draw into the file of the C library that stands in for NVIDIA's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .nvml import Call, Code, NvmlPlant
from .physics import UW_NS_PER_UJ, Device
from .script import NodeScript


class Gpus:
    """The node's GPUs as NVML tells of them."""

    def __init__(self, script: NodeScript, devices: Mapping[str, Device]) -> None:
        self._devices = [devices[gpu.uuid] for gpu in script.gpus]
        self._start_mj = [0] * len(self._devices)
        self._plant = NvmlPlant(Path(script.nvml_state), len(script.gpus))
        for number, gpu in enumerate(script.gpus):
            told = self._plant.devices[number]
            told.uuid = gpu.uuid.encode()
            if not gpu.counter:
                told.fail(Code.NOT_SUPPORTED, Call.ENERGY)
            if gpu.instances:
                told.divide(*gpu.instances, slices=gpu.slices)
            self._start_mj[number] = 1_000_000 * (1 + number)

    def update(self) -> None:
        """Counters and powers as of now."""
        for number, device in enumerate(self._devices):
            told = self._plant.devices[number]
            told.energy_mj = self._start_mj[number] + _mj(device)
            told.power(device.now_uw / 1e6)

    def command(
        self,
        index: int = 0,
        *,
        fail: str | None = None,
        hang_ms: int | None = None,
        calls: tuple[str, ...] = (),
        reset: bool = False,
        reload: bool = False,
    ) -> None:
        """``fail`` names a return code (``SUCCESS`` heals), ``calls`` the classes of calls.

        ``reset`` lets the energy counter begin at zero, ``reload`` all of them, with the driver.
        """
        device = self._plant.devices[index]
        classes = [Call[name] for name in calls]
        if fail is not None:
            device.fail(Code[fail], *classes)
        if hang_ms is not None:
            device.hang(hang_ms, *classes)
        for number in range(len(self._devices)) if reload else [index] if reset else []:
            self._start_mj[number] = -_mj(self._devices[number])
        if reload:
            self._plant.reload_driver()
        self.update()


def _mj(device: Device) -> int:
    return device.drawn // UW_NS_PER_UJ // 1000
