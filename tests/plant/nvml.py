"""GPUs that are not there: builds ``nvml.c`` and writes the file that it takes its truth from.

A process that is started with ``NvmlPlant.environment`` finds this library where it would load
NVIDIA's ``libnvidia-ml.so.1``. Numbers may change at any moment; each is one aligned word.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import shutil
import subprocess
from enum import IntEnum
from pathlib import Path

_SOURCE = Path(__file__).with_name("nvml.c")
_MAGIC = 0x6E766D6C
_DEVICES, _INSTANCES, _CLASSES = 16, 8, 8
_BUILD_S = 60


class Call(IntEnum):
    """Classes of NVML calls for which a device may be told to fail or to wait."""

    HANDLE = 0
    ENERGY = 1
    POWER = 2
    INSTANT = 3
    MIG = 4
    INFO = 5
    LIMIT = 6


class Code(IntEnum):
    """NVML's return codes, as in nvml.h."""

    SUCCESS = 0
    UNINITIALIZED = 1
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    GPU_IS_LOST = 15
    LIB_RM_VERSION_MISMATCH = 18
    UNKNOWN = 999


class Instance(ctypes.Structure):
    """One instance of a GPU (MIG)."""

    _fields_ = (
        ("uuid", ctypes.c_char * 96),
        ("gi_id", ctypes.c_uint64),
        ("ci_id", ctypes.c_uint64),
        ("gi_slices", ctypes.c_uint64),
        ("ci_slices", ctypes.c_uint64),
    )


class Device(ctypes.Structure):
    """One GPU: its figures, and what each class of calls answers instead of them.

    ``limit_mw`` is the highest power limit that can be set, ``enforced_mw`` the one in force.
    """

    _fields_ = (
        ("uuid", ctypes.c_char * 96),
        ("name", ctypes.c_char * 96),
        ("bus_id", ctypes.c_char * 32),
        ("minor", ctypes.c_uint64),
        ("energy_mj", ctypes.c_uint64),
        ("power_mw", ctypes.c_uint64),
        ("instant_mw", ctypes.c_uint64),
        ("limit_mw", ctypes.c_uint64),
        ("enforced_mw", ctypes.c_uint64),
        ("mig_mode", ctypes.c_uint64),
        ("max_mig", ctypes.c_uint64),
        ("instance_count", ctypes.c_uint64),
        ("error", ctypes.c_uint64 * _CLASSES),
        ("wait_ms", ctypes.c_uint64 * _CLASSES),
        ("instances", Instance * _INSTANCES),
    )

    def fail(self, code: Code, *calls: Call) -> None:
        """Answer these classes of calls, all if none is named, with the code from now on."""
        for call in calls or Call:
            self.error[call] = code

    def hang(self, ms: int, *calls: Call) -> None:
        """Let these classes of calls, all if none is named, take so long from now on."""
        for call in calls or Call:
            self.wait_ms[call] = ms

    def power(self, watts: float) -> None:
        """What the power readings say; the energy counter stays as it is."""
        self.power_mw = self.instant_mw = round(watts * 1000)

    def divide(self, *instances: tuple[str, int, int, int], slices: int = 7) -> None:
        """Switch MIG on with instances (uuid, GPU instance, its slices, own compute slices)."""
        self.instance_count = 0  # nobody sees half of it
        for place, (uuid, gi_id, gi_slices, ci_slices) in enumerate(instances):
            self.instances[place] = Instance(uuid.encode(), gi_id, place, gi_slices, ci_slices)
        self.mig_mode, self.max_mig = 1, slices
        self.instance_count = len(instances)


class _Plant(ctypes.Structure):
    _fields_ = (
        ("magic", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
        ("init_error", ctypes.c_uint64),
        ("count_error", ctypes.c_uint64),
        ("driver_epoch", ctypes.c_uint64),
        ("init_wait_ms", ctypes.c_uint64),
        ("reserved", ctypes.c_uint64 * 2),
        ("devices", Device * _DEVICES),
    )


class NvmlPlant:
    """The GPUs of one pretended machine; ``path`` is the file that names them to the library.

    Attributes:
        state: ``count``, ``init_error``, ``count_error`` and ``driver_epoch`` of the whole.
        devices: the first ``count`` of them are there; any may be changed at any time.
    """

    def __init__(self, path: Path, count: int, *, limit_w: int = 700) -> None:
        self.path = path
        path.write_bytes(bytes(ctypes.sizeof(_Plant)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.state = _Plant.from_buffer(self._map)
        self.devices = self.state.devices
        for index in range(_DEVICES):
            device = self.devices[index]
            device.uuid = uuid(index).encode()
            device.name = b"NVIDIA Plant 80GB"
            device.bus_id = f"00000000:{index + 1:02X}:00.0".encode()
            device.minor = index
            device.limit_mw = device.enforced_mw = limit_w * 1000
        self.state.count = count
        self.state.magic = _MAGIC

    def environment(self, library: Path) -> dict[str, str]:
        """What a process needs that is to see these GPUs; ``library`` is ``build``'s answer."""
        return {"LD_LIBRARY_PATH": str(library), "NVML_PLANT": str(self.path)}

    def reload_driver(self) -> None:
        """Everybody must call nvmlInit again, and energy counters begin at zero."""
        for device in self.devices:
            device.energy_mj = 0
        self.state.driver_epoch += 1


def uuid(index: int) -> str:
    """The UUID that a device of the plant has unless it is given another."""
    return f"GPU-{index:08x}-0000-4000-8000-{0xC0FFEE + index:012x}"


def build(folder: Path) -> Path:
    """Compile the library unless this source was compiled there before; answers its directory.

    Raises:
        RuntimeError: there is no C compiler, or it failed.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("gcc is missing; run deploy/install-packages --tests")
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    directory = folder / f"nvml-{digest}"
    library = directory / "libnvidia-ml.so.1"
    if not library.exists():
        directory.mkdir(parents=True, exist_ok=True)
        half = directory / f"{library.name}.{os.getpid()}"
        options = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared")
        argv = [compiler, *options, "-o", str(half), str(_SOURCE)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_BUILD_S, check=False)
        if done.returncode:
            raise RuntimeError(f"gcc cannot build {_SOURCE.name}: {done.stderr.strip()}")
        half.replace(library)
    return directory
