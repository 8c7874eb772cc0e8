"""One load, one run: what it was, and what carbonsched, carbontracker and CodeCarbon say it was.

As root: python tests/bench/peers.py FOLDER [SECONDS]. FOLDER holds the peers' virtual environment,
made from the package index if it is not there. A power plant is a node of two packages, two memory
zones and eight GPUs, whose package counters wrap; a job has half of its CPUs and one GPU, another
job two GPUs. The peers see the plant as /sys/class/powercap and NVIDIA's library, in a name space
of their own and without network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "integration")]

from plant.physics import Profile  # noqa: E402  # found through the line above
from plant.script import GpuScript, sysfs  # noqa: E402
from plant.truth import Presence, Truth  # noqa: E402
from scene import UJ, Hand, Scene  # noqa: E402

PACKAGES = ("carbontracker", "codecarbon")
GPU = 3
INSIDE = Path(__file__).with_name("peers_inside.py")
MOUNTS = """
set -e
mount -t tmpfs none /sys/devices/virtual
mount -t tmpfs none /sys/class
mkdir /sys/devices/virtual/powercap /sys/class/powercap
mount --bind "$0/devices/virtual/powercap" /sys/devices/virtual/powercap
mount --bind "$0/class/powercap" /sys/class/powercap
exec "$@"
"""


@dataclass
class Told:
    """What one of them said of an interval."""

    name: str
    joules: float
    begin_ns: int
    end_ns: int
    parts: str = ""


def main() -> int:
    """Print the table."""
    peers = Path(sys.argv[1]).resolve()
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 70
    python = environment(peers)
    with tempfile.TemporaryDirectory(prefix="carbonsched-peers-", dir="/var/tmp") as name:
        scene = Scene(Path(name), hz=100, range_uj=3000 * UJ, system_cpus=0.1, gpus=gpus())
        try:
            told, truth, hand = measure(scene, python, seconds)
        finally:
            scene.close()
        report(told, truth, scene, hand, versions(python))
    return 0


def gpus() -> tuple[GpuScript, ...]:
    """GPU 3 is our job's, 0 and 1 are the other's, the rest idles."""
    busy = {
        0: Profile("flat", 240.0),
        1: Profile("step", 300.0, period_s=7.0),
        GPU: Profile("sine", 340.0, period_s=13.0),
    }
    return tuple(
        GpuScript(
            uuid=f"GPU-{number:08x}-1111-4222-8333-444444444444",
            profile=busy.get(number, Profile()),
        )
        for number in range(8)
    )


def measure(scene: Scene, python: Path, seconds: int) -> tuple[list[Told], Truth, Hand]:
    """All of them at the same time, while the job runs."""
    tool = scene.folder / "bin" / "nvidia-smi"  # CodeCarbon asks whether it can be run
    tool.parent.mkdir()
    tool.symlink_to("/bin/true")
    scene.write_site(sample_s=1.0, segment_s=300)
    began_ns = time.time_ns()
    scene.start()
    scene.samples(12)  # an idle node, from which idle power is learned
    other = scene.begin(2, cpus=3, load=2.0, gpus=(0, 1))
    hand = scene.begin(1, cpus=4, load=3.5, gpus=(GPU,))
    names = {"index": str(GPU), "UUID": scene.script.gpus[GPU].uuid}
    started = {
        f"{tool}, {kind}": peer(scene, python, tool, visible, seconds)
        for tool in PACKAGES
        for kind, visible in names.items()
    }
    told = [heard(name, process, seconds) for name, process in started.items()]
    scene.end(hand)
    scene.end(other)
    scene.samples(3)
    scene.stop()
    ended_ns = time.time_ns()
    truth = scene.truth()
    ours = [
        Told("carbonsched, job", scene.job_j(1), hand.begin_ns, hand.end_ns, by_domain(scene, 1)),
        Told("carbonsched, node", scene.total_j(), began_ns, ended_ns, by_domain(scene)),
    ]
    return ours + told, truth, hand


def by_domain(scene: Scene, job_id: int | None = None) -> str:
    """A job's joules, or everybody's."""
    sums: Counter[str] = Counter()
    for segment in scene.segments():
        for part in segment.parts:
            if job_id in (None, part.job_id):
                sums.update({str(domain): joules for domain, joules in part.domains.items()})
    return ", ".join(f"{domain} {joules} J" for domain, joules in sums.items())


def peer(
    scene: Scene, python: Path, tool: str, visible: str, seconds: int
) -> subprocess.Popen[str]:
    """Started in name spaces of its own: its mounts, no network."""
    path = f"{scene.folder / 'bin'}:{os.environ['PATH']}"
    variables = scene.environment | {
        "CUDA_VISIBLE_DEVICES": visible, "HOME": str(scene.folder), "PATH": path
    }  # fmt: skip
    return subprocess.Popen(
        [
            *("unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", MOUNTS),
            *(sysfs(scene.script), python, INSIDE, tool, str(seconds)),
        ],
        env=variables,
        cwd=scene.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def heard(name: str, process: subprocess.Popen[str], seconds: int) -> Told:
    """Its figures; a peer that fails or hangs ends the run with what it wrote."""
    try:
        out, err = process.communicate(timeout=seconds + 120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise SystemExit(f"{name} did not end in time") from None
    lines = [line for line in out.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise SystemExit(f"{name} gave no figures: {out[-2000:]}{err[-2000:]}")
    raw: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT "))
    parts = ", ".join(f"{part} {joules:.0f} J" for part, joules in raw["parts"].items())
    return Told(name, raw["joules"], raw["begin_ns"], raw["end_ns"], parts)


def report(
    told: list[Told], truth: Truth, scene: Scene, hand: Hand, installed: dict[str, str]
) -> None:
    """Each figure beside the truth of the same interval."""
    lines = ["", "Energy of CPUs, memory and GPUs, joules; each beside the truth of its interval"]
    lines.append(", ".join(f"{name} {number}" for name, number in installed.items()))
    lines.append(f"{'':24}{'told':>10}{'job':>10}{'ratio':>8}{'node':>10}{'ratio':>8}")
    for one in told:
        presence: Presence = scene.presence(hand, one.begin_ns, one.end_ns)
        job = sum(truth.job_uj(presence, rest=False).values()) / UJ
        node = truth.total_uj(one.begin_ns, one.end_ns, rest=False) / UJ
        lines.append(
            f"{one.name:24}{one.joules:10.0f}{job:10.0f}{one.joules / job:8.3f}"
            f"{node:10.0f}{one.joules / node:8.3f}  {one.parts}"
        )
    sys.stdout.write("\n".join([*lines, ""]))


def environment(folder: Path) -> Path:
    """The peers' Python, with their newest releases."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
        pip = [python, "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(pip, check=True, timeout=900)
    return python


def versions(python: Path) -> dict[str, str]:
    """What is installed there."""
    ask = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
    done = subprocess.run(
        [python, "-c", ask, *PACKAGES],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ,
    )
    return dict(zip(PACKAGES, done.stdout.split(), strict=True))


if __name__ == "__main__":
    sys.exit(main())
