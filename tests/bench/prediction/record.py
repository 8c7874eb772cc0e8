"""Runs the trainings one after the other and records their epochs, beside Carbontracker.

python tests/bench/prediction/record.py RUN [NAME...]

RUN, a letter, tells the runs of a training apart.

Needs torch and carbontracker. Energy is that of the agent's power model (``ModelMeter``) for one
CPU of 10 W idle and 40 W busy, fed with the CPU time of the training's processes: read where each
epoch and step ends, and summed over stretches of at least a tenth of a second. Written are
``logs/NAME-RUN.csv``, ``logs/NAME-RUN-parts.csv`` and a line of ``logs/carbontracker.csv``.
"""

from __future__ import annotations

import csv
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import torch
from carbontracker.tracker import CarbonTracker

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from trainings import TRAININGS  # noqa: E402  # found through the line above

from carbonsched.model.epoch import MOST_PARTS  # noqa: E402
from carbonsched.node.meters.model import ModelMeter  # noqa: E402
from carbonsched.site import NodeClass  # noqa: E402

LOGS = Path(__file__).parent / "logs"
_LEAST_NS = 100_000_000
_WORD = r"Energy:\s+([0-9.]+) kWh"


class Meter:
    """Time and energy since the start of the run, as the agent would have them."""

    def __init__(self) -> None:
        self._model = ModelMeter(
            NodeClass(nodes="n1", cpus=1, idle_w=10.0, max_w=40.0, uncertainty=0.2)
        )
        self._at, self._busy, self._uj = time.perf_counter_ns(), cpu_ns(), 0

    def read(self, *, close: bool = False) -> tuple[float, float]:
        """Seconds and joules; the stretch since the last closed one counts with its mean load."""
        at, busy = time.perf_counter_ns(), cpu_ns()
        (energy,) = self._model.between({}, {}, at - self._at, busy - self._busy)
        uj = self._uj + energy.energy_uj
        if close or at - self._at > _LEAST_NS:
            self._at, self._busy, self._uj = at, busy, uj
        return at / 1e9, uj / 1e6


def cpu_ns() -> int:
    """CPU time of this process and of its children."""
    total = time.process_time_ns()
    for name in Path("/proc/self/task").iterdir():
        for child in (name / "children").read_text().split():
            try:
                for task in Path(f"/proc/{child}/task").iterdir():
                    total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue
    return total


def record(name: str, run: str) -> None:
    """One training."""
    torch.manual_seed(ord(run))
    torch.set_num_threads(1)
    training = TRAININGS[name]()
    folder = tempfile.mkdtemp()
    other = CarbonTracker(
        epochs=training.epochs, monitor_epochs=-1, components="cpu", log_dir=folder, verbose=0
    )
    meter = Meter()
    epochs: list[list[tuple[float, float]]] = []
    for epoch in range(training.epochs):
        other.epoch_start()
        marks = [meter.read(close=True)]
        for number in range(training.batches * training.passes):
            training.step(epoch, number % training.batches)
            marks.append(meter.read())
        stopping = training.after(epoch)
        marks[-1] = meter.read(close=True)
        other.epoch_end()
        epochs.append(marks)
        if stopping:
            break
    other.stop()
    name = f"{name}-{run}"
    write(name, epochs)
    foretold, used = figures(Path(folder))
    with (LOGS / "carbontracker.csv").open("a", encoding="utf-8") as file:
        file.write(f"{name},{training.epochs},{len(epochs)},{foretold},{used}\n")
    total = epochs[-1][-1][0] - epochs[0][0][0]
    print(name, len(epochs), round(total, 1), foretold, used, flush=True)  # noqa: T201


def figures(folder: Path) -> tuple[str, str]:
    """The kWh that Carbontracker foretold after one epoch and those that it counted at the end."""
    text = "\n".join(path.read_text() for path in folder.glob("*.log"))
    foretold = re.search(r"Predicted consumption.*?" + _WORD, text, re.DOTALL)
    used = re.search(r"Actual consumption.*?" + _WORD, text, re.DOTALL)
    return foretold[1] if foretold else "", used[1] if used else ""


def write(name: str, epochs: list[list[tuple[float, float]]]) -> None:
    """The log by epochs and the log by parts."""
    with (
        (LOGS / f"{name}.csv").open("w", newline="", encoding="utf-8") as whole,
        (LOGS / f"{name}-parts.csv").open("w", newline="", encoding="utf-8") as parted,
    ):
        by_epoch = csv.writer(whole, lineterminator="\n")
        by_part = csv.writer(parted, lineterminator="\n")
        by_epoch.writerow(("epoch", "duration_s", "energy_j"))
        by_part.writerow(("epoch", "part", "parts", "steps", "duration_s", "energy_j"))
        for epoch, marks in enumerate(epochs, 1):
            steps = len(marks) - 1
            parts = max(n for n in range(1, MOST_PARTS + 1) if steps % n == 0)
            ends = [marks[steps * part // parts] for part in range(parts + 1)]
            by_epoch.writerow((epoch, *difference(ends[0], ends[-1])))
            for part in range(parts):
                spent = difference(ends[part], ends[part + 1])
                by_part.writerow((epoch, part + 1, parts, steps // parts, *spent))


def difference(before: tuple[float, float], after: tuple[float, float]) -> tuple[str, str]:
    """Seconds and joules between two readings."""
    return f"{after[0] - before[0]:.4f}", f"{max(0.0, after[1] - before[1]):.3f}"


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    for chosen in sys.argv[2:] or TRAININGS:
        record(chosen, sys.argv[1])
