"""One machine: devices that draw, files that show it, a log of the truth."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .gauges import Gauge, put
from .gpus import Gpus
from .physics import UW, UW_NS_PER_UJ, Device, Supply
from .script import NodeScript, procfs, sysfs
from .show import Cray, Powercap, PowerMeter, Shown
from .work import RealWork, ScriptedWork, Work, ticks


class PlantNode:
    """Steps through time; see ``step``. Everything drawn since it was made is in its log."""

    def __init__(self, script: NodeScript, log: Path | None) -> None:
        self.script = script
        self.devices = {one.name: one for one in _devices(script)}
        self.supply = Supply(
            tuple(self.devices.values()), round(script.rest_w * UW), script.loss_ppm
        )
        self.work: Work = RealWork(script) if script.cgroups else ScriptedWork(script)
        self._system = 0
        self._busy = 0
        self._system_cpus = script.system_cpus
        self._make_proc()
        self._gpu_work = Path(script.gpu_work or f"{script.folder}/gpu-work")
        self._gpu_work.mkdir(parents=True, exist_ok=True)
        sysfs(script).mkdir(parents=True, exist_ok=True)
        self.powercap = Powercap(script, self.devices, self.supply)
        self.shown: list[Shown] = [self.powercap]
        self.extra: dict[str, Gauge] = {}
        if script.wall == "hwmon":
            meter = PowerMeter(script, self.supply)
            self.shown.append(meter)
            self.extra["hwmon"] = meter.power
        if script.wall == "cray":
            cray = Cray(script, self.devices, self.supply)
            self.shown.append(cray)
            self.extra.update(cray.gauges)
        self.nvml = Gpus(script, self.devices) if script.nvml_state else None
        self._log = -1
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._cpu_ns: dict[str, int] = {}

    def step(self, steady_ns: int, wall_ns: int, length_ns: int, middle_ns: int) -> None:
        """``length_ns`` have passed until these instants; ``middle_ns`` is on the plant's clock."""
        worked = self.work.step(length_ns)
        system = round(self._system_cpus * length_ns)
        busy = worked.total + system
        self._see_gpu_work()
        for device in self.devices.values():
            device.step(middle_ns, length_ns, busy)
        self.supply.step(length_ns)
        self._busy += busy
        self._stat.show(_stat(ticks(self._busy), self.script.cpus))
        for part in self.shown:
            part.update(steady_ns, wall_ns)
        if self.nvml is not None:
            self.nvml.update()
        for job, used in worked.jobs.items():
            if used:
                self._cpu_ns[str(job)] = self._cpu_ns.get(str(job), 0) + used
        self._cpu_ns["other"] = self._cpu_ns.get("other", 0) + worked.other + system
        if self._log >= 0:
            self._write(steady_ns, wall_ns)

    def command(self, raw: dict[str, Any]) -> None:
        """What a test wishes; the names are the methods' below and the work's."""
        wish = dict(raw)
        name = wish.pop("do")
        known: dict[str, Callable[..., None]] = {
            "fail": self._fail,
            "reset": self.powercap.reset,
            "appear": self.powercap.appear,
            "system": self._set_system,
            "boot": self._boot,
        }
        if self.nvml is not None:
            known["gpu"] = self.nvml.command
        if isinstance(self.work, ScriptedWork):
            known |= {
                "begin": self.work.begin,
                "load": self.work.load,
                "freeze": self.work.freeze,
                "end": self.work.end,
            }
        known[name](**wish)

    def _see_gpu_work(self) -> None:
        if self.script.gpus:
            working = set(os.listdir(self._gpu_work))  # noqa: PTH208 - many times a second
            for number, gpu in enumerate(self.script.gpus):
                self.devices[gpu.uuid].works = str(number) in working

    def _fail(self, target: str, kind: str = "") -> None:
        gauge = self.powercap.gauge(target) or self.extra[target]
        gauge.fail(kind)

    def _set_system(self, cpus: float) -> None:
        self._system_cpus = cpus

    def _boot(self, name: str) -> None:
        put(procfs(self.script) / "sys/kernel/random/boot_id", name + "\n")

    def _make_proc(self) -> None:
        root = procfs(self.script)
        # Hooks tell the boot of the machine that they run on.
        self._boot(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        total = self.script.memory_mb * 1024
        put(root / "meminfo", f"MemTotal:       {total} kB\nMemFree:        {total} kB\n")
        self._stat = Gauge(root / "stat", _stat(0, self.script.cpus))

    def _write(self, steady_ns: int, wall_ns: int) -> None:
        record = {
            "wall_ns": wall_ns,
            "steady_ns": steady_ns,
            "uj": {name: one.drawn // UW_NS_PER_UJ for name, one in self.devices.items()},
            "static_uj": {name: one.static // UW_NS_PER_UJ for name, one in self.devices.items()},
            "rest_uj": self.supply.rest // UW_NS_PER_UJ,
            "rest_static_uj": self.supply.rest_static // UW_NS_PER_UJ,
            "cpu_ns": self._cpu_ns,
        }
        os.write(self._log, json.dumps(record, separators=(",", ":")).encode() + b"\n")


def _devices(script: NodeScript) -> list[Device]:
    """Packages and their memory share the work evenly."""
    found = []
    for number in range(script.packages):
        package = f"package-{number}"
        busy_uw = round(script.busy_w * UW / script.packages)
        found.append(Device(package, "cpu", round(script.package_idle_w * UW), busy_uw))
        if script.dram:
            busy_uw = round(script.dram_busy_w * UW / script.packages)
            memory = Device(f"{package} dram", "memory", round(script.dram_idle_w * UW), busy_uw)
            found.append(memory)
    gpus = (
        Device(gpu.uuid, "gpu", round(gpu.idle_w * UW), profile=gpu.profile) for gpu in script.gpus
    )
    return [*found, *gpus]


def _stat(busy_ticks: int, cpus: int) -> str:
    """The first line has it all; the others say how many CPUs there are."""
    lines = [f"cpu  {busy_ticks} 0 0 9 9 0 0 0 0 0"]
    return "\n".join([*lines, *(f"cpu{number} 1 0 0 1 1 0 0 0 0 0" for number in range(cpus))])
