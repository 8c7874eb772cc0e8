"""A day of an agent in minutes: 86,400 samples, 8 GPUs, jobs that come and go, no daemon.

python tests/bench/soak.py [SAMPLES]. The agent's own code runs in a process of its own under a
clock that this one sets, on the files of a power plant that goes along second by second. Printed
are its memory, its CPU time and its spool as the day goes, and the day's energy beside the truth.
At last a daemon comes and takes it all: see ``catch_up.py``.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NS = 1_000_000_000
SLOTS = 8
REPORTS = 8


def main() -> int:
    """The plant's side."""
    from catch_up import catch_up  # noqa: PLC0415 - not for the agent's side either

    sys.path[:0] = [str(ROOT / "tests")]
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 86_400
    with tempfile.TemporaryDirectory(prefix="carbonsched-soak-", dir="/var/tmp") as name:
        spool = Day(Path(name)).run(samples)
        catch_up(spool, "soak", Path(name))
    return 0


class Day:
    """One node: a GPU and a CPU for each of eight slots, in which jobs follow each other."""

    def __init__(self, folder: Path) -> None:
        # Only this side of the bench needs the plant: the agent's memory is to be its own.
        from plant.node import PlantNode  # noqa: PLC0415
        from plant.nvml import build  # noqa: PLC0415
        from plant.physics import Profile  # noqa: PLC0415
        from plant.script import GpuScript, NodeScript  # noqa: PLC0415

        gpus = tuple(
            GpuScript(
                uuid=f"GPU-{number:08x}-5555-4666-8777-888888888888",
                profile=Profile("sine", 300.0, period_s=61.0 + number),
            )
            for number in range(SLOTS)
        )
        self._machine = folder / "machine"
        self._script = NodeScript(
            name="n1",
            folder=str(self._machine),
            gpus=gpus,
            nvml_state=str(folder / "nvml.state"),
            system_cpus=0.004,
        )
        self._node = PlantNode(self._script, None)
        self._spool = folder / "spool"
        (self._spool / "events").mkdir(parents=True)
        self._site = folder / "site.json"
        agent = {"spool": str(self._spool), "socket": str(folder / "agent.sock")}
        self._site.write_text(
            json.dumps({"cluster": "soak", "daemon_url": "http://127.0.0.1:9", "agent": agent})
        )
        library = build(folder / "library")
        self._environment = os.environ | {
            "LD_LIBRARY_PATH": str(library),
            "NVML_PLANT": self._script.nvml_state,
            "PYTHONPATH": str(ROOT),
        }
        # The day before this one, as no daemon takes what lies ahead.
        self._wall_ns = (time.time_ns() // (86_400 * NS) - 1) * 86_400 * NS
        self._steady_ns = 1000 * NS
        self._chance = random.Random(3)
        self._jobs = 0
        self._slots: list[tuple[int, int]] = [(0, 0)] * SLOTS  # its job and until when

    def run(self, samples: int) -> Path:
        """Sample by sample; the spool that it leaves."""
        agent = subprocess.Popen(
            [sys.executable, __file__, "--agent", self._machine, self._site],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        _print(f"{'sample':>8}{'RSS MB':>8}{'ms CPU a sample':>17}{'spool files':>13}{'KB':>8}")
        began, used_ns, since = time.monotonic(), 0, 0
        start_uj = 0
        for number in range(samples):
            self._pass()
            told = self._ask(agent)
            used_ns, since = used_ns + told["cpu_ns"], since + 1
            if number == 0:
                start_uj = self._drawn_uj()
            if number in (0, 60) or (number + 1) % (samples // REPORTS) == 0:
                files = [path for path in self._spool.rglob("*") if path.is_file()]
                size = sum(path.stat().st_size for path in files)
                _print(
                    f"{number + 1:8}{told['rss'] / 2**20:8.1f}{used_ns / since / 1e6:17.3f}"
                    f"{len(files):13}{size / 1024:8.0f}"
                )
                used_ns = since = 0
        assert agent.stdin is not None
        agent.stdin.close()
        agent.wait(30)
        self._compare(start_uj, time.monotonic() - began)
        return self._spool

    def _pass(self) -> None:
        """A second goes by."""
        for slot, (job, until_ns) in enumerate(self._slots):
            if self._wall_ns >= until_ns:
                self._change(slot, job)
        self._wall_ns += NS
        self._steady_ns += NS
        self._node.step(self._steady_ns, self._wall_ns, NS, self._steady_ns)

    def _change(self, slot: int, job: int) -> None:
        """A job ends and leaves its slot free for a while, or the next one begins."""
        work = self._machine / "gpu-work" / str(slot)
        if job:
            work.unlink()
            self._node.command({"do": "end", "job": job})
            self._event("end", job, slot)
            self._slots[slot] = (0, self._wall_ns + self._chance.randint(1, 300) * NS)
            return
        self._jobs += 1
        self._event("begin", self._jobs, slot)
        load = self._chance.uniform(0.05, 1.0)
        self._node.command({"do": "begin", "job": self._jobs, "cpus": load})
        work.touch()
        length_s = self._chance.randint(2, 5400)
        self._slots[slot] = (self._jobs, self._wall_ns + length_s * NS)

    def _event(self, kind: str, job: int, slot: int) -> None:
        """As the hooks write it, under the bench's clock."""
        path = self._spool / "events" / f"{kind}.{job}.0.1"
        lines = ["uid=1000", "nodelist=n1", "cpus_per_node=1", f"gpus={slot}", "end", ""]
        path.write_text("\n".join(lines))
        os.utime(path, ns=(self._wall_ns, self._wall_ns))

    def _ask(self, agent: subprocess.Popen[str]) -> dict[str, int]:
        assert agent.stdin is not None
        assert agent.stdout is not None
        agent.stdin.write(f"{self._wall_ns} {self._steady_ns}\n")
        agent.stdin.flush()
        answer: dict[str, int] = json.loads(agent.stdout.readline())
        return answer

    def _drawn_uj(self) -> int:
        return sum(device.uj for device in self._node.devices.values())

    def _compare(self, start_uj: int, seconds: float) -> None:
        """All that was drawn since the first sample is in segments, or still in the state."""
        state = json.loads((self._spool / "state.json").read_text())["segments"]
        left_uj = sum(energy_uj for *_, energy_uj, _ in state["carry"])
        for one in state["open"]:
            left_uj += sum(cell[1] for tally in one["tallies"] for cell in tally[-1])
        segments = [
            json.loads(path.read_text()) for path in (self._spool / "outbox").glob("segment.*")
        ]
        told_j = sum(one["total_j"] for one in segments)
        true_j = (self._drawn_uj() - start_uj) / 1e6
        off_j = told_j + left_uj / 1e6 - true_j
        _print(
            f"{self._jobs} jobs, {len(segments)} segments: truth {true_j:.3f} J, segments {told_j}"
            f" J, still open or carried {left_uj / 1e6:.3f} J, off by {off_j:+.6f} J"
        )
        _print(f"{seconds:.0f} s for the day")


def agent() -> int:
    """The agent's side: one sample for each line of its input."""
    from carbonsched.node.agent import Agent  # noqa: PLC0415 - nothing else in this process
    from carbonsched.node.journal import Journal  # noqa: PLC0415
    from carbonsched.node.wiring import Roots  # noqa: PLC0415
    from carbonsched.site import load_site  # noqa: PLC0415

    class HandClock:
        boot_id = "soak"
        wall, steady = 0, 0

        def wall_ns(self) -> int:
            return self.wall

        def steady_ns(self) -> int:
            return self.steady

    clock = HandClock()
    machine, site = Path(sys.argv[2]), Path(sys.argv[3])
    made: Any = None
    for line in sys.stdin:
        clock.wall, clock.steady = map(int, line.split())
        if made is None:
            roots = Roots(
                sysfs=machine / "sys",
                procfs=machine / "proc",
                cgroupfs=machine / "sys/fs/cgroup",
            )
            made = Agent("n1", load_site(site), roots, _nobody, Journal("soak"), clock)
        began_ns = time.process_time_ns()
        made.sample()
        used_ns = time.process_time_ns() - began_ns
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        answer = {"cpu_ns": used_ns, "rss": pages * os.sysconf("SC_PAGE_SIZE")}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


def _nobody() -> Any:
    raise OSError("there is no daemon in this bench")


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(agent() if sys.argv[1:2] == ["--agent"] else main())
