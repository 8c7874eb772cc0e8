"""A real cluster whose four nodes have the hardware of a power plant, each another kind."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import Lab, LabConfig
from lab.config import HOOKS
from stack import SITE_FILE, AgentExtras
from trial import ADA, ROOT, Grid, Trial

sys.path[:0] = [str(ROOT / "tests")]

from plant.handle import Plant  # noqa: E402  # found through the line above
from plant.nvml import build  # noqa: E402
from plant.physics import Profile  # noqa: E402
from plant.script import GpuScript, NodeScript, Zone, procfs, sysfs  # noqa: E402
from plant.truth import Presence, Truth  # noqa: E402

CGROUPS = "/sys/fs/cgroup"
MEMORY_MB = 4000
GPUS = (0, 0, 8, 4)
SAMPLE_S, SEGMENT_S = 0.25, 5
_SPIN = """\
import os, sys, time
seconds, duty, work = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
gpus = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
files = [f"{work}/{os.environ['SLURMD_NODENAME']}/{one}" for one in gpus]
for file in files:
    open(file, "w").close()
end = time.monotonic() + seconds
while (now := time.monotonic()) < end:
    while time.monotonic() - now < 0.02 * duty:
        pass
    time.sleep(0.02 * (1 - duty))
for file in files:
    os.unlink(file)
"""
_LOGGED = """\
#!/bin/sh
/bin/date "+%s%N {kind} $SLURMD_NODENAME $SLURM_JOB_ID ${{SLURM_JOB_GPUS:--}}" >>{log}
"""


@dataclass(frozen=True)
class Stay:
    """A job on a node as the hooks' own log has it."""

    node: str
    job_id: int
    begin_ns: int
    end_ns: int
    gpus: tuple[int, ...]


class PlantTrial(Trial):
    """``plant`` is the hardware; jobs that spin burn real CPU time, which it turns into power."""

    def __init__(self, lab: Lab, programs: Path, grid: Grid, folder: Path) -> None:
        self.hooks_log = lab.directory.parent / "hooks.log"
        folder.mkdir()
        self.gpu_work = folder / "gpu-work"
        for node in lab.nodes:
            (self.gpu_work / node).mkdir(parents=True)
            (self.gpu_work / node).chmod(0o777)
        self.machines = machines(lab.nodes, folder)
        self.plant = Plant(folder, self.machines, hz=100)
        self.spin = lab.directory / "spin.py"
        self.spin.write_text(_SPIN)
        extras = {one.name: _extras(one, folder) for one in self.machines}
        speeds = {"sample_s": SAMPLE_S, "segment_s": SEGMENT_S, "tick_s": 2.0}
        # Only Cray's accelerators must be declared: they may not be what Slurm calls a GPU.
        super().__init__(lab, programs, grid, extras, node_gpus=(0, 0, 0, GPUS[3]), **speeds)

    @staticmethod
    def config(folder: Path, programs: Path) -> LabConfig:
        """Four nodes with memory limits, GPUs on two of them, and hooks that also keep a log."""
        parent = folder.parent
        hooks = {}
        for name, kind in (("prolog", "begin"), ("epilog", "end")):
            hooks[name] = parent / f"{name}.sh"
            ours = (HOOKS / f"{name}.sh").read_text()
            hooks[name].write_text(_LOGGED.format(kind=kind, log=parent / "hooks.log") + ours)
        return LabConfig(
            directory=folder,
            prolog=hooks["prolog"],
            epilog=hooks["epilog"],
            path=(programs,),
            node_memory_mb=MEMORY_MB,
            node_gpus=GPUS,
            memory_limits=True,
            slurm_conf=("DefMemPerCPU=100",),
            environment={"CARBONSCHED_SITE": str(folder / SITE_FILE)},
        )

    # Jobs

    def spinner(
        self, node: str, seconds: float, duty: float, *options: str, user: str = ADA, run: str = ""
    ) -> int:
        """A job that keeps ``duty`` CPUs busy in each of its tasks."""
        work = f"{run} {self.spinning(seconds, duty)}"
        return self.sbatch(user, "-w", node, "--time=2", *options, "--wrap", work)

    def spinning(self, seconds: float, duty: float) -> str:
        """The command of such a task; GPUs that it sees work as their profile says."""
        return f"python3 {self.spin} {seconds} {duty} {self.gpu_work}"

    def stays(self) -> dict[int, list[Stay]]:
        """Who was where, and when, by the clock of the hooks' log."""
        began: dict[tuple[str, int], tuple[int, str]] = {}
        found = defaultdict(list)
        for line in self.hooks_log.read_text().splitlines():
            at, kind, node, job, gpus = line.split()
            if kind == "begin":
                began[node, int(job)] = (int(at), gpus)
            elif (node, int(job)) in began:
                begin_ns, gpus = began.pop((node, int(job)))
                numbers = tuple(int(one) for one in gpus.split(",")) if gpus != "-" else ()
                found[int(job)].append(Stay(node, int(job), begin_ns, int(at), numbers))
        return dict(found)

    # Figures

    def truths(self) -> dict[str, Truth]:
        """Of every node."""
        return {one.name: self.plant.truth(one.name) for one in self.machines}

    def halted(self, job_id: int, node: str) -> bool:
        """Whether Slurm has frozen every step of a job, which takes it a while."""
        steps = f"freezer/slurm_{node}/uid_*/job_{job_id}/step_*/freezer.state"
        states = [path.read_text().strip() for path in Path(CGROUPS).glob(steps)]
        return bool(states) and set(states) == {"FROZEN"}

    def machine(self, node: str) -> NodeScript:
        """A node's script."""
        return next(one for one in self.machines if one.name == node)

    def true_j(
        self, truths: dict[str, Truth], stay: Stay, cpus: int, mem_mb: int, **more: Any
    ) -> dict[str, float]:
        """A job's energy on one node by domain, in joules."""
        machine = self.machine(stay.node)
        presence = Presence(
            job_id=stay.job_id,
            begin_ns=stay.begin_ns,
            end_ns=stay.end_ns,
            cpus=cpus,
            gpus={machine.gpus[number].uuid: 1.0 for number in stay.gpus},
            memory_share=mem_mb / MEMORY_MB,
            **more,
        )
        energy = truths[stay.node].job_uj(presence, rest=bool(machine.wall))
        return {domain: uj / 1e6 for domain, uj in energy.items()}

    def billed_j(self, job_id: int, node: str) -> dict[str, int]:
        """What the ledger's readings give a job on a node, by domain."""
        sql = (
            "SELECT domains FROM parts JOIN segments ON segments.id = segment_id"
            " WHERE job_id = :job AND node = :node"
        )
        return _by_domain(self.select(sql, job=job_id, node=node))

    def told_j(self, node: str, begin_at: int) -> dict[str, int]:
        """What all readings from an instant on give a node, by domain."""
        sql = (
            "SELECT domains FROM parts JOIN segments ON segments.id = segment_id"
            " WHERE node = :node AND start_at >= :at"
        )
        return _by_domain(self.select(sql, node=node, at=begin_at))


def machines(names: tuple[str, ...], folder: Path) -> tuple[NodeScript, ...]:
    """RAPL alone; with a wall meter; with eight GPUs too; a Cray with four accelerators."""
    bare, wall, gpu, cray = names
    wave = (
        Profile("sine", 300.0, period_s=7.0),
        Profile("step", 250.0, period_s=9.0),
        Profile("flat", 200.0),
        Profile("sine", 100.0, period_s=23.0),
    )
    gpus = tuple(
        GpuScript(
            uuid=f"GPU-{number:08x}-aaaa-4bbb-8ccc-dddddddddddd",
            idle_w=50.0 + number,
            profile=wave[number % 4] if number < 6 else Profile(),
            counter=number != 5,
        )
        for number in range(8)
    )
    # Daemons that never rest look like idle power; this is what an agent may use.
    common = {"cgroups": CGROUPS, "memory_mb": MEMORY_MB, "system_cpus": 0.002}
    mirrors = (
        Zone(directory="intel-rapl-mmio:0", name="package-0", device="package-0"),
        Zone(directory="intel-rapl:2", name="psys", device="psys"),
    )
    work = folder / "gpu-work"
    return (
        NodeScript(
            name=bare,
            folder=str(folder / bare),
            range_uj=2_500_000_000,
            more_zones=mirrors[:1],
            **common,
        ),
        NodeScript(
            name=wall, folder=str(folder / wall), wall="hwmon", more_zones=mirrors, **common
        ),
        NodeScript(
            name=gpu,
            folder=str(folder / gpu),
            wall="hwmon",
            # A board that tells a mean over a second is half a second late: a thousand joules where
            # GPUs begin to work. Jobs are ten times shorter here than any of note, so is the mean.
            wall_interval_s=0.1,
            gpus=gpus,
            nvml_state=str(folder / "nvml.state"),
            gpu_work=str(work / gpu),
            **common,
        ),
        NodeScript(
            name=cray,
            folder=str(folder / cray),
            wall="cray",
            powercap=False,
            gpus=gpus[:4],
            gpu_work=str(work / cray),
            package_idle_w=30.0,
            **common,
        ),
    )


def _extras(machine: NodeScript, folder: Path) -> AgentExtras:
    environment = {}
    if machine.nvml_state:
        library = build(folder / "library")
        environment = {"LD_LIBRARY_PATH": str(library), "NVML_PLANT": machine.nvml_state}
    paths = {"sysfs": sysfs(machine), "procfs": procfs(machine), "cgroupfs": Path(CGROUPS)}
    options = [word for name, path in paths.items() for word in (f"--path.{name}", path)]
    return AgentExtras(options=tuple(options), environment=environment)


def _by_domain(parts: list[dict[str, Any]]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for part in parts:
        for domain, joules in json.loads(part["domains"]).items():
            sums[domain] += joules
    return dict(sums)
