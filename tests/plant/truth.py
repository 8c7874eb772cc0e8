"""What really happened, from a node's log: computed here once more, by other means than an agent's.

An agent sees counters now and then and has to infer; the plant knows the idle and the dynamic
energy of each device apart, and each job's CPU time at every step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .physics import NS, UW
from .script import NodeScript

Series = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Presence:
    """A job's stay on a node: what Slurm gave it, and from when to when, on the wall clock.

    ``gpus`` are fractions of devices, ``memory_share`` is ``None`` where memory is not allocated.
    ``halts`` are stretches in which it was suspended and its CPUs were given away.
    """

    job_id: int
    begin_ns: int
    end_ns: int
    cpus: int
    gpus: Mapping[str, float] = field(default_factory=dict)
    memory_share: float | None = None
    halts: tuple[tuple[int, int], ...] = ()


class Truth:
    """Cumulative series over time; every answer is interpolated within single steps."""

    def __init__(self, node: NodeScript, records: list[dict]) -> None:
        self.node = node
        self.at_ns = np.array([one["wall_ns"] for one in records], dtype=np.int64)
        self._uj = {name: _series(records, "uj", name) for name in records[-1]["uj"]}
        self._static = {name: _series(records, "static_uj", name) for name in records[-1]["uj"]}
        self._rest = np.array([one["rest_uj"] for one in records], dtype=np.float64)
        self._rest_static = np.array([one["rest_static_uj"] for one in records], dtype=np.float64)
        self._cpu = {name: _series(records, "cpu_ns", name) for name in records[-1]["cpu_ns"]}

    @classmethod
    def read(cls, path: Path, node: NodeScript) -> Truth:
        """A whole log."""
        with path.open() as lines:
            return cls(node, [json.loads(line) for line in lines if line.endswith("\n")])

    def device_uj(self, name: str, begin_ns: int, end_ns: int) -> float:
        """Energy of one device."""
        return self._within(self._uj[name], begin_ns, end_ns)

    def domains_uj(self, begin_ns: int, end_ns: int, *, rest: bool) -> dict[str, float]:
        """Energy of the whole node by domain, with the rest where it can be measured."""
        devices = {"cpu": self._packages(), "memory": self._drams(), "gpu": self._gpus()}
        energy = {
            domain: sum(self.device_uj(name, begin_ns, end_ns) for name in names)
            for domain, names in devices.items()
        }
        return energy | ({"rest": self._within(self._rest, begin_ns, end_ns)} if rest else {})

    def total_uj(self, begin_ns: int, end_ns: int, *, rest: bool) -> float:
        """Energy of all domains."""
        return sum(self.domains_uj(begin_ns, end_ns, rest=rest).values())

    def cpu_ns(self, owner: int | str, begin_ns: int, end_ns: int) -> float:
        """CPU time of a job, or of ``other``."""
        series = self._cpu.get(str(owner))
        return 0.0 if series is None else self._within(series, begin_ns, end_ns)

    def job_uj(self, job: Presence, *, rest: bool) -> dict[str, float]:
        """A job's energy by domain: idle power by its allocation, the rest by what it used."""
        stretches = _stretches(job)
        cpu_share = job.cpus / self.node.cpus
        gpus = len(self.node.gpus)
        gpu_share = sum(job.gpus.values()) / gpus if gpus else cpu_share
        node_share = (cpu_share + gpu_share) / 2
        memory_share = cpu_share if job.memory_share is None else job.memory_share
        used_s = self.cpu_ns(job.job_id, job.begin_ns, job.end_ns) / NS
        energy = dict.fromkeys(("cpu", "memory", "gpu"), 0.0)
        dynamic = used_s * self.node.busy_w * UW
        energy["cpu"] = dynamic + cpu_share * self._static_of(self._packages(), stretches)
        whole = ((job.begin_ns, job.end_ns),)
        if self.node.dram:
            warm = used_s * self.node.dram_busy_w * UW
            dynamic += warm
            energy["memory"] = warm + memory_share * self._static_of(self._drams(), whole)
        for name, share in job.gpus.items():
            static = share * self._static_of([name], whole)
            beyond = sum(
                share * (self.device_uj(name, *one) - self._static_of([name], (one,)))
                for one in stretches
            )
            energy["gpu"] += static + beyond
            dynamic += beyond
        if rest:
            static = sum(self._within(self._rest_static, *one) for one in stretches)
            energy["rest"] = node_share * static + dynamic * self.node.loss_ppm / UW
        return energy

    def _packages(self) -> list[str]:
        return [name for name in self._uj if name.startswith("package") and " " not in name]

    def _drams(self) -> list[str]:
        return [name for name in self._uj if name.endswith(" dram")]

    def _gpus(self) -> list[str]:
        return [gpu.uuid for gpu in self.node.gpus]

    def _static_of(self, names: list[str], stretches: tuple[tuple[int, int], ...]) -> float:
        return sum(self._within(self._static[name], *one) for name in names for one in stretches)

    def _within(self, series: Series, begin_ns: int, end_ns: int) -> float:
        # Relative to the first record: instants since 1970 do not fit into a float's digits.
        at = (self.at_ns - self.at_ns[0]).astype(np.float64)
        begin, end = np.interp([begin_ns - self.at_ns[0], end_ns - self.at_ns[0]], at, series)
        return float(end - begin)


def _series(records: list[dict], kind: str, name: str) -> Series:
    return np.array([one[kind].get(name, 0) for one in records], dtype=np.float64)


def _stretches(job: Presence) -> tuple[tuple[int, int], ...]:
    found, begin_ns = [], job.begin_ns
    for first_ns, last_ns in job.halts:
        found.append((begin_ns, first_ns))
        begin_ns = last_ns
    return (*found, (begin_ns, job.end_ns))
