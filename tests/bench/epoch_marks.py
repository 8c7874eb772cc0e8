"""What marking epochs costs a training: the import, a step, an epoch's two marks.

python tests/bench/epoch_marks.py [RUNS]. The agent is a real process on a power plant, with a job
of this process, which computes between the marks as a training does, or walks through more memory
than the caches hold: what it then finds of its own in them is little, so a mark costs several times
what it does in a tight loop. With calls for start and end the steps are at the epoch's start, so
that nothing is warm at its end; of a loop over the tracker, what comes between two epochs is timed.
The same calls are timed with the socket gone, refusing, full, and outside a site. Interpreters with
and without the import take turns. Printed are medians, and of calls also the 99th percentile: what
else the machine does is in these.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "integration")]

from plant.script import procfs  # noqa: E402  # found through the line above
from scene import Scene, say  # noqa: E402

from carbonsched.epochs import EpochTracker  # noqa: E402

SOCKET_VARIABLE = "CARBONSCHED_AGENT_SOCKET"

IMPORT_BAR_MS, AGENT_BAR_US, NO_AGENT_BAR_US = 20.0, 50.0, 5.0
JOB_ID = 1
EPOCHS = 100
"""With the agent up, which takes 20 marks a second."""
WORK_S = 0.25
STEPS = 20


def main() -> int:
    """Print the figures, each beside its bar."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    imports(runs)
    with tempfile.TemporaryDirectory(prefix="carbonsched-marks-", dir="/var/tmp") as name:
        folder = Path(name)
        outside_a_site(folder)
        sockets(folder)
        with_agent(folder)
    return 0


def imports(runs: int) -> None:
    """Fresh interpreters, in turns."""
    bare, ours, again = [], [], []
    for _ in range(runs):
        bare.append(interpreter("pass"))
        ours.append(interpreter("import carbonsched.epochs"))
        again.append(interpreter("from carbonsched.epochs import EpochTracker; EpochTracker(1)"))
    base_ms = statistics.median(bare)
    say(f"import carbonsched.epochs: {statistics.median(ours) - base_ms:.1f} ms over the bare")
    say(f"  interpreter's {base_ms:.1f} ms (bar {IMPORT_BAR_MS:.0f} ms); with a tracker made:")
    say(f"  {statistics.median(again) - base_ms:.1f} ms over it")


def interpreter(code: str) -> float:
    """Milliseconds that it lives."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return (time.perf_counter() - began) * 1e3


def outside_a_site(folder: Path) -> None:
    """No site file: nobody is to be told."""
    os.environ.pop(SOCKET_VARIABLE, None)
    os.environ["CARBONSCHED_SITE"] = str(folder / "none.json")
    calls("outside a site", NO_AGENT_BAR_US)


def sockets(folder: Path) -> None:
    """A site, and an agent that is not there, has gone, or hangs."""
    os.environ[SOCKET_VARIABLE] = str(folder / "a.sock")
    calls("no socket", NO_AGENT_BAR_US)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as agent:
        agent.bind(str(folder / "a.sock"))

        def read() -> None:
            with suppress(BlockingIOError):
                while True:
                    agent.recv(4096)

        calls("a socket that is read, in a tight loop", AGENT_BAR_US, between=read)
        for _ in EpochTracker(EPOCHS):
            pass
        calls("a socket that is full", AGENT_BAR_US)
    calls("a socket that nobody listens on", NO_AGENT_BAR_US)


def with_agent(folder: Path) -> None:
    """A real agent that takes every mark of this process as its job's."""
    scene = Scene(folder, hz=50)
    try:
        scene.write_site(sample_s=1.0, segment_s=60, delivery_s=10)
        scene.start()
        scene.begin(JOB_ID, cpus=1, load=0.5, prolog=False, uid=os.getuid())
        in_job(scene)
        memory = bytearray(64 << 20)
        works = {
            "the agent up, 4 epochs a second": lambda: sum(range(1000)),
            "the agent up, 4 epochs a second, walking through 64 MiB": lambda: memory.count(1),
        }
        for number, (what, work) in enumerate(works.items()):
            first = 2 * number * EPOCHS
            calls(what, AGENT_BAR_US, EPOCHS, first=first, work=work)
            loop(f"{what}, in a loop over the tracker", first + EPOCHS, work)
        time.sleep(2)
        taken = len(list((scene.spool / "outbox").glob("epoch.*")))
        say(f"the agent has {taken} of {2 * len(works) * EPOCHS} epochs")
    finally:
        scene.close()


def in_job(scene: Scene) -> None:
    """This process is one of the job's, in the eyes of the plant's agent."""
    path = f"/slurm_{scene.node}/uid_{os.getuid()}/job_{JOB_ID}/step_0"
    folder = procfs(scene.script) / str(os.getpid())
    folder.mkdir()
    (folder / "cgroup").write_text(f"9:cpuacct:{path}\n0::/\n")
    os.environ[SOCKET_VARIABLE] = json.loads(scene.site.read_text())["agent"]["socket"]


def calls(
    what: str,
    bar_us: float,
    epochs: int = 3000,
    first: int = 0,
    work: Callable[[], object] | None = None,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Each call on its own, so that one which waits would be seen."""
    tracker = EpochTracker(first + epochs, first=first)
    marks, steps, used_us = [], [], []
    for _ in range(epochs):
        between()
        cpu_ns = time.thread_time_ns()
        start = timed(tracker.epoch_start)
        used = time.thread_time_ns() - cpu_ns
        steps += [timed(tracker.step) for _ in range(STEPS)]
        if work is not None:
            keep_at(work)
        cpu_ns = time.thread_time_ns()
        marks.append(start + timed(tracker.epoch_end))
        used_us.append((used + time.thread_time_ns() - cpu_ns) / 1e3)
    tracker.stop()
    empty = empty_us()
    say(f"{what}:")
    say(f"  an epoch's start and end {figures(marks, 2 * empty)} (bar {bar_us:.0f} µs)")
    if work is not None:
        say(f"  of that, CPU time {statistics.median(used_us):.2f} µs, with two looks at its clock")
    say(f"  a step {figures(steps, empty)}")


def loop(what: str, first: int, work: Callable[[], object]) -> None:
    """From the end of one epoch's body to the start of the next one's."""
    tracker = EpochTracker(first + EPOCHS, first=first)
    numbers = iter(tracker)
    next(numbers)
    marks = []
    for _ in range(EPOCHS - 1):
        for _ in range(STEPS):
            tracker.step()
        keep_at(work)
        marks.append(timed(lambda: next(numbers)))
    keep_at(work)
    next(numbers, None)
    say(f"{what}:")
    say(f"  an epoch's end and the next one's start {figures(marks, empty_us())}")


def keep_at(work: Callable[[], object]) -> None:
    """What a training does in an epoch."""
    until = time.perf_counter() + WORK_S
    while time.perf_counter() < until:
        work()


def empty_us() -> float:
    """What looking at the clock costs, in a tight loop."""
    return statistics.median(timed(nothing) for _ in range(3000))


def figures(times_us: list[float], less_us: float) -> str:
    """Without what looking at the clock costs."""
    median = statistics.median(times_us) - less_us
    high = statistics.quantiles(times_us, n=100)[98] - less_us
    return f"{median:.2f} µs, 99 in 100 under {high:.2f} µs"


def timed(call: Callable[[], object]) -> float:
    """Microseconds."""
    began = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began) / 1e3


def nothing() -> None:
    """What a call costs that does nothing."""


if __name__ == "__main__":
    raise SystemExit(main())
