"""Runs the trainings as jobs of a real cluster, one after the other, and keeps their epochs.

python tests/bench/prediction/record.py RUN [NAME...]

RUN, a letter, tells the runs of a training apart. Needs root, Slurm, and a Python that every user
can run with carbonsched, torch and carbontracker installed.

Each training is a job of one CPU. It marks its epochs to the node's agent, which meters them by
its power model, 80 W idle and 300 W with all of 8 CPUs busy; Carbontracker is told in the same
run. ``carbonsched epochs`` writes ``logs/NAME-RUN.csv`` and ``logs/NAME-RUN-parts.csv``; a line of
``logs/carbontracker.csv`` is added.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
sys.path[:0] = [
    str(ROOT), str(ROOT / "deploy"), str(ROOT / "tests" / "integration"), str(HERE)
]  # fmt: skip

from held_out import HELD_OUT  # noqa: E402  # found through the line above
from lab import Lab  # noqa: E402
from trainings import TRAININGS  # noqa: E402
from trial import ADA, Grid, Trial  # noqa: E402

from carbonsched.prediction.epoch_log import read_log  # noqa: E402

LOGS = HERE / "logs"
_PROGRAMS = Path(sys.executable).parent
_LONGEST_S = 900
_WORD = r"Energy:\s+([0-9.]+) kWh"


def main() -> int:
    """Record what was asked for."""
    run, *names = sys.argv[1:]
    with cluster() as trial:
        for name in names or [*TRAININGS, *HELD_OUT]:
            record(trial, name, run)
    return 0


@contextmanager
def cluster() -> Iterator[Trial]:
    """One node under Slurm with our daemon and agent, which hardly run beside the training."""
    folder = Path(tempfile.mkdtemp(prefix="carbonsched-record-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        config = Trial.config(folder / "lab", _PROGRAMS)
        with Lab.started(replace(config, nodes=1)) as lab:
            yield Trial(lab, _PROGRAMS, Grid(folder / "grid"), tick_s=10.0, sample_s=0.2)
    finally:
        shutil.rmtree(folder)


def record(trial: Trial, name: str, run: str) -> None:
    """One training."""
    training = (TRAININGS | HELD_OUT)[name]()
    folder = Path(tempfile.mkdtemp(dir=trial.lab.home(ADA)))
    folder.chmod(0o777)
    script = f"#!/bin/bash\nexec {sys.executable} {HERE / 'train.py'} {name} {ord(run)} {folder}\n"
    (folder / "job").write_text(script)
    words = ("--carbon-now", "--time=20", f"--job-name={name}", f"--output={folder}/out")
    job, _ = trial.csbatch(ADA, *words, folder / "job")
    state = trial.wait_state(job, "COMPLETED", "FAILED", "CANCELLED", timeout_s=_LONGEST_S)
    if state != "COMPLETED":
        raise SystemExit(f"{name} ended as {state}: {(folder / 'out').read_text()[-2000:]}")
    time.sleep(3)  # the last marks are delivered
    for form, words in ((".csv", ()), ("-parts.csv", ("--parts",))):
        log = trial.carbonsched("epochs", str(job), "--all", *words, user="root").stdout
        (LOGS / f"{name}-{run}{form}").write_text(log)
    with (LOGS / f"{name}-{run}.csv").open(encoding="utf-8") as file:
        epochs = read_log(file)
    foretold, used = figures(folder)
    with (LOGS / "carbontracker.csv").open("a", encoding="utf-8") as file:
        file.write(f"{name}-{run},{training.epochs},{len(epochs)},{foretold},{used}\n")
    total_s = sum(epoch.cost.seconds for epoch in epochs)
    sys.stdout.write(f"{name}-{run}: {len(epochs)} epochs, {total_s:.1f} s, {foretold}, {used}\n")
    sys.stdout.flush()


def figures(folder: Path) -> tuple[str, str]:
    """The kWh that Carbontracker foretold after one epoch and those that it counted at the end."""
    text = "\n".join(path.read_text() for path in folder.glob("*.log"))
    foretold = re.search(r"Predicted consumption.*?" + _WORD, text, re.DOTALL)
    used = re.search(r"Actual consumption.*?" + _WORD, text, re.DOTALL)
    return foretold[1] if foretold else "", used[1] if used else ""


if __name__ == "__main__":
    raise SystemExit(main())
