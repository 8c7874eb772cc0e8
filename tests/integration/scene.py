"""One node without Slurm: a power plant, jobs as a test says, the real hooks and a real agent.

What the agent has closed is read from its outbox, for no daemon answers.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from plant.handle import Plant  # noqa: E402  # found through the line above
from plant.nvml import build  # noqa: E402
from plant.script import NodeScript, cgroupfs, procfs, sysfs  # noqa: E402
from plant.truth import Presence, Truth  # noqa: E402

from carbonsched.model.energy import EnergySegment, PartKind  # noqa: E402

NS = 1_000_000_000
UJ = 1_000_000
_PATIENCE_S = 10.0


def say(line: str) -> None:
    """A figure for whoever reads the tests' output; pytest -rP shows it."""
    sys.stdout.write(line + "\n")


@dataclass
class Hand:
    """A job that a test began: its presence is the hooks' files' times."""

    job_id: int
    cpus: int
    gpus: tuple[int, ...] = ()
    restarts: int = 0
    begin_ns: int = 0
    end_ns: int = 0
    halts: list[tuple[int, int]] = field(default_factory=list)


class Scene:
    """A node of a plant with its agent; ``classes`` are the site file's power classes."""

    def __init__(
        self, folder: Path, hz: int = 50, classes: Sequence[dict[str, Any]] = (), **script: Any
    ) -> None:
        self.folder = folder
        self._classes = list(classes)
        self.node = "n1"
        gpus = script.get("gpus", ())
        if gpus:
            script.setdefault("nvml_state", str(folder / "nvml.state"))
        self.script = NodeScript(name=self.node, folder=str(folder / "machine"), **script)
        self._gpu_work = Path(self.script.folder) / "gpu-work"
        self.plant = Plant(folder, (self.script,), hz)
        self.spool = folder / "spool" / self.node
        self.log = folder / "agent.log"
        self.site = folder / "site.json"
        self.agent: subprocess.Popen[bytes] | None = None
        self.environment = dict(os.environ)
        if gpus:
            library = build(folder / "library")
            self.environment |= {
                "LD_LIBRARY_PATH": str(library),
                "NVML_PLANT": self.script.nvml_state,
            }
        (self.spool / "events").mkdir(parents=True)
        self._hooks = {name: self._hook(name) for name in ("prolog", "epilog")}
        self.write_site()

    # The agent

    def write_site(self, **agent: Any) -> None:
        """The site file; nobody listens at the daemon's address."""
        settings = {
            "socket": str(self.folder / "agent.sock"),
            "spool": str(self.spool),
            "sample_s": 0.1,
            "segment_s": 1,
            "delivery_s": 3600,
        }
        site = {
            "cluster": "plant",
            "daemon_url": "http://127.0.0.1:9",
            "agent": settings | agent,
            "node_classes": self._classes,
        }
        self.site.write_text(json.dumps(site))

    def start(
        self, wrapper: Sequence[str] = (), program: Sequence[str] = (), *, wait: bool = True
    ) -> None:
        """Start the agent, and wait for its first sample unless told otherwise."""
        state = self.spool / "state.json"
        before = state.stat().st_mtime_ns if state.exists() else 0
        command = program or (sys.executable, "-m", "carbonsched.cli.agent")
        argv = [
            *wrapper,
            *command,
            *("--node", self.node, "--site", str(self.site)),
            *("--path.sysfs", str(sysfs(self.script))),
            *("--path.procfs", str(procfs(self.script))),
            *("--path.cgroupfs", str(cgroupfs(self.script))),
        ]
        with self.log.open("ab") as log:
            self.agent = subprocess.Popen(
                argv, env=self.environment, stdout=log, stderr=log, cwd=ROOT
            )
        if wait:
            self.until(
                lambda: state.exists() and state.stat().st_mtime_ns > before, "the first sample"
            )

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """End the agent; its exit status."""
        assert self.agent is not None
        self.agent.send_signal(number)
        return self.agent.wait(_PATIENCE_S)

    def stop(self) -> None:
        """As systemd does it: what is open is closed and kept."""
        assert self.kill(signal.SIGTERM) == 0, self.log.read_text()

    def until(self, condition: Any, what: str, timeout_s: float = _PATIENCE_S) -> None:
        """Polls with a limit; an agent that ended is a failure at once."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.agent is None or self.agent.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{what}: {self.log.read_text()}"
            time.sleep(0.005)

    def samples(self, count: int = 2) -> None:
        """So many samples from now have been taken in."""
        state = self.spool / "state.json"
        for _ in range(count):
            before = state.stat().st_mtime_ns
            self.until(lambda before=before: state.stat().st_mtime_ns != before, "a sample")

    @property
    def said(self) -> str:
        """The agent's log."""
        return self.log.read_text()

    def close(self) -> None:
        """Nothing of it runs any more."""
        if self.agent is not None and self.agent.poll() is None:
            self.agent.kill()
            self.agent.wait(_PATIENCE_S)
        self.plant.stop()

    # Jobs

    def begin(
        self,
        job_id: int,
        *,
        cpus: int,
        load: float,
        gpus: tuple[int, ...] = (),
        visible: str | None = None,
        prolog: bool = True,
        group: bool = True,
        **more: Any,
    ) -> Hand:
        """Slurm starts a job with so many CPUs, of which it keeps ``load`` busy."""
        hand = Hand(job_id, cpus, gpus, begin_ns=time.time_ns())
        if prolog:
            hand.begin_ns = self.hook("prolog", hand, visible)
        if group:
            self.plant.tell(self.node, "begin", job=job_id, cpus=load, **more)
            for number in gpus:
                (self._gpu_work / str(number)).touch()
        return hand

    def end(self, hand: Hand, *, epilog: bool = True, group: bool = True) -> None:
        """The job's processes are gone, and Slurm runs the epilog."""
        if group:
            for number in hand.gpus:
                (self._gpu_work / str(number)).unlink()
            self.plant.tell(self.node, "end", job=hand.job_id)
        hand.end_ns = self.hook("epilog", hand) if epilog else time.time_ns()

    def hook(self, name: str, hand: Hand, visible: str | None = None) -> int:
        """Run the prolog or the epilog as slurmd does; when it did its work."""
        numbers = ",".join(map(str, hand.gpus))
        environment = {
            "SLURMD_NODENAME": self.node,
            "SLURM_CLUSTER_NAME": "plant",
            "SLURM_JOB_ID": str(hand.job_id),
            "SLURM_JOB_UID": "1000",
            "SLURM_JOB_USER": "ada",
            "SLURM_JOB_NODELIST": self.node,
            "SLURM_JOB_CPUS_PER_NODE": str(hand.cpus),
            "SLURM_JOB_RESTART_COUNT": str(hand.restarts),
        }
        if numbers:
            environment["SLURM_JOB_GPUS"] = numbers
            environment["CUDA_VISIBLE_DEVICES"] = visible or numbers
        began_ns = time.time_ns()
        subprocess.run(["/bin/sh", self._hooks[name]], env=environment, check=True, timeout=10)
        return (began_ns + time.time_ns()) // 2

    def presence(self, hand: Hand, begin_ns: int = 0, end_ns: int = 0, **more: Any) -> Presence:
        """As the truth wants it, within bounds if they are given."""
        return Presence(
            job_id=hand.job_id,
            begin_ns=max(hand.begin_ns, begin_ns),
            end_ns=min(hand.end_ns, end_ns) if end_ns else hand.end_ns,
            cpus=hand.cpus,
            gpus={self.script.gpus[number].uuid: 1.0 for number in hand.gpus},
            halts=tuple(hand.halts),
            **more,
        )

    # What came of it

    def truth(self) -> Truth:
        """All that has happened."""
        return self.plant.truth(self.node)

    def segments(self) -> list[EnergySegment]:
        """All that the agent closed, in the order of time."""
        paths = sorted((self.spool / "outbox").glob("segment.*.json"))
        return [EnergySegment.from_wire(json.loads(path.read_text())) for path in paths]

    def total_j(self) -> int:
        """Of all segments."""
        return sum(one.total_j for one in self.segments())

    def left_uj(self) -> int:
        """What the stopped agent's state still holds of what it metered."""
        book = json.loads((self.spool / "state.json").read_text())["segments"]
        carried = sum(energy_uj for *_, energy_uj, _ in book["carry"])
        cells = [cell for one in book["open"] for tally in one["tallies"] for cell in tally[-1]]
        return carried + sum(energy_uj for _, energy_uj, *_ in cells)

    def job_j(self, job_id: int, restarts: int | None = None) -> int:
        """What a job is charged."""
        return sum(
            part.energy_j
            for one in self.segments()
            for part in one.parts
            if part.job_id == job_id and restarts in (None, part.restarts)
        )

    def kind_j(self, kind: PartKind) -> int:
        """What jobs, idle CPUs or the system are charged."""
        return sum(
            part.energy_j for one in self.segments() for part in one.parts if part.kind is kind
        )

    def qualities(self, job_id: int) -> set[str]:
        """Of a job's parts."""
        return {
            str(part.quality or one.quality)
            for one in self.segments()
            for part in one.parts
            if part.job_id == job_id
        }

    def _hook(self, name: str) -> Path:
        text = (ROOT / "slurm" / f"{name}.sh").read_text()
        text, count = re.subn(r"(?m)^SPOOL=.*$", f"SPOOL={self.spool.parent}", text)
        assert count == 1
        path = self.folder / f"{name}.sh"
        path.write_text(text)
        return path


COLD = {
    "package_idle_w": 0.0,
    "dram": False,
    "classes": [{"nodes": "n1", "cpus": 8, "idle_w": 0.0, "max_w": 500.0}],
}
"""A machine that draws power for computing alone, and whose class says so."""


def drew_j(scene: Scene) -> float:
    """All that the machine has drawn so far, but for the rest of the node."""
    truth = scene.truth()
    return truth.total_uj(0, time.time_ns(), rest=False) / UJ


def job_true_j(scene: Scene, hand: Hand) -> float:
    """A job's energy, in joules."""
    return sum(scene.truth().job_uj(scene.presence(hand), rest=False).values()) / UJ


def settle(scene: Scene) -> None:
    """Nobody computes any more; the agent sees that, and closes everything."""
    scene.plant.sync()
    scene.samples(3)
    scene.stop()


def exact(scene: Scene, what: str, resolution_j: float = 1e-5) -> None:
    """No joule lost, none counted twice: what is in no segment is carried, less than 1 J a cell."""
    true_j, told_j, left_j = drew_j(scene), scene.total_j(), scene.left_uj() / UJ
    off_j = told_j + left_j - true_j
    say(f"{what}: truth {true_j:.3f} J = {told_j} J in segments + {left_j:.3f} J {off_j:+.6f} J")
    assert abs(off_j) < resolution_j
    for one in scene.segments():
        assert one.total_j == sum(part.energy_j for part in one.parts)


def told(scene: Scene, hand: Hand, what: str, within: float) -> None:
    """A job's bill beside the truth."""
    true_j, told_j = job_true_j(scene, hand), scene.job_j(hand.job_id)
    marks = ", ".join(sorted(scene.qualities(hand.job_id)))
    say(f"{what}: job {hand.job_id} truth {true_j:.1f} J, billed {told_j} J, {marks}")
    assert told_j == pytest.approx(true_j, rel=within, abs=2)
