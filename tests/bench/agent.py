"""What an agent costs: a real process, one sample a second, 8 jobs, 8 GPUs, on a power plant.

python tests/bench/agent.py [SECONDS]. Printed are its CPU time over the run (all threads, from the
scheduler), its memory, and whether it ever started another process.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "integration")]

from plant.physics import Profile  # noqa: E402  # found through the line above
from plant.script import GpuScript  # noqa: E402
from scene import Scene  # noqa: E402

JOBS = 8
WARM_S = 15
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print the figures."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    gpus = tuple(
        GpuScript(
            uuid=f"GPU-{number:08x}-9999-4aaa-8bbb-cccccccccccc",
            profile=Profile("sine", 300.0, period_s=7.0 + number),
        )
        for number in range(JOBS)
    )
    with tempfile.TemporaryDirectory(prefix="carbonsched-agent-", dir="/var/tmp") as name:
        scene = Scene(Path(name), hz=50, gpus=gpus, wall="hwmon")
        try:
            scene.write_site(sample_s=1.0, segment_s=60, delivery_s=10, metrics="127.0.0.1:0")
            measure(scene, seconds)
        finally:
            scene.close()
    return 0


def measure(scene: Scene, seconds: int) -> None:
    """After a warm-up, with all jobs there."""
    scene.start()
    for number in range(JOBS):
        scene.begin(1 + number, cpus=1, load=0.7, gpus=(number,))
    time.sleep(WARM_S)
    assert scene.agent is not None
    process = Path(f"/proc/{scene.agent.pid}")
    began, used_ns = time.monotonic(), cpu_ns(process)
    children = 0
    while time.monotonic() < began + seconds:
        children += sum(len(path.read_text().split()) for path in process.glob("task/*/children"))
        time.sleep(0.05)
    length_s = time.monotonic() - began
    used_s = (cpu_ns(process) - used_ns) / 1e9
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    reaped_s = (int(fields[13]) + int(fields[14])) * _TICK_S
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    sys.stdout.write(
        f"{scene.said.splitlines()[0]}\n"
        f"{JOBS} jobs, {JOBS} GPUs, one sample a second, {length_s:.0f} s:"
        f" {100 * used_s / length_s:.3f} % of one CPU ({1000 * used_s / length_s:.2f} ms a sample),"
        f" {int(status['VmRSS'].split()[0]) / 1024:.1f} MB resident"
        f" (most {int(status['VmHWM'].split()[0]) / 1024:.1f} MB),"
        f" {status['Threads'].strip()} threads, other processes seen: {children},"
        f" their CPU time {reaped_s:.2f} s\n"
    )


def cpu_ns(process: Path) -> int:
    """CPU time of all its threads, in nanoseconds."""
    return sum(int(path.read_text().split()[0]) for path in process.glob("task/*/schedstat"))


if __name__ == "__main__":
    sys.exit(main())
