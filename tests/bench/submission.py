"""What carbonsched adds to a submission and to a job's start and end, measured in one run.

On a cluster of its own, as root: python tests/bench/submission.py [ROUNDS]. The commands of each
table take turns, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy"), str(ROOT / "tests" / "integration")]

from lab import Lab  # noqa: E402  # found through the line above
from stack.stack import DAEMON  # noqa: E402
from trial import ADA, Grid, Trial  # noqa: E402

PROGRAMS = Path(sys.executable).parent
# Held jobs never start: only the submission is timed, and the cluster stays quiet.
HELD = ("--hold", "--time=1", "--output=/dev/null", "--wrap", "true")
Work = Callable[[], None]


def main() -> int:
    """Print the tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory(prefix="carbonsched-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Lab.started(Trial.config(folder / "lab", PROGRAMS)) as lab:
            trial = Trial(lab, PROGRAMS, Grid(folder / "grid"))
            trial.plateau()
            submissions(trial, rounds)
            hooks(lab, rounds)
    return 0


def submissions(trial: Trial, rounds: int) -> None:
    """csbatch beside sbatch, with the daemon up and then without."""
    later = ("csbatch", "--carbon-max-delay=30min", *HELD)
    up = {
        "sbatch": command(trial, "sbatch", *HELD),
        "csbatch": command(trial, *later),
        "csbatch --carbon-now": command(trial, "csbatch", "--carbon-now", *HELD),
    }
    table("Submission, daemon up", up, rounds)
    clear(trial)
    trial.lab.processes.stop(DAEMON)
    down = {"sbatch": up["sbatch"], "csbatch": up["csbatch"]}
    table("Submission, daemon down", down, rounds)
    clear(trial)


def clear(trial: Trial) -> None:
    """No job waits any more."""
    trial.lab.slurm("scancel", f"--user={ADA}")


def command(trial: Trial, *argv: str) -> Work:
    """A user's command, run as that user."""
    lab = trial.lab
    path = lab.env(ADA)["PATH"].split(":")
    found = next(Path(place, argv[0]) for place in path if Path(place, argv[0]).exists())
    return process([str(found), *argv[1:]], lab.env(ADA), lab.home(ADA), ADA)


def process(
    argv: Sequence[str], env: dict[str, str], folder: Path, user: str | None = None
) -> Work:
    """Runs a program to its end; it must succeed.

    Without a time limit: waiting with one polls, ever more seldom, and would round the figures.
    """

    def run() -> None:
        subprocess.run(
            argv, env=env, cwd=folder, user=user, group=user, check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    return run


def hooks(lab: Lab, rounds: int) -> None:
    """Prolog and epilog as slurmd runs them, beside a script that does nothing."""
    empty = lab.directory / "empty.sh"
    empty.write_text("#!/bin/sh\n")
    empty.chmod(0o755)
    for title, node in (("spool there", "bench"), ("spool missing", "nowhere")):
        (lab.spool / "bench" / "events").mkdir(parents=True, exist_ok=True)
        env = {
            "PATH": os.defpath, "SLURMD_NODENAME": node, "SLURM_CLUSTER_NAME": "lab",
            "SLURM_JOB_ID": "77", "SLURM_JOB_UID": "1001", "SLURM_JOB_USER": ADA,
            "SLURM_JOB_NODELIST": "n[1-4]", "SLURM_JOB_CPUS_PER_NODE": "8(x4)",
            "SLURM_JOB_NTASKS": "32", "SLURM_JOB_EXIT_CODE": "0",
        }  # fmt: skip
        scripts = {
            "empty script": empty,
            "prolog.sh": lab.slurm_conf.parent / "prolog.sh",
            "epilog.sh": lab.slurm_conf.parent / "epilog.sh",
        }
        works = {name: process([str(path)], env, Path("/")) for name, path in scripts.items()}
        table(f"Hooks, {title}", works, 5 * rounds)


def table(title: str, works: dict[str, Work], rounds: int) -> None:
    """Medians, quartiles, and the ratio to the first, of so many interleaved runs."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            taken[name].append((time.perf_counter() - began) * 1000)
    first = statistics.median(next(iter(taken.values())))
    lines = ["", f"{title}: {rounds} interleaved runs each, milliseconds"]
    lines.append(f"  {'':24}{'median':>9}{'quartiles':>18}{'more':>9}{'ratio':>8}")
    for name, values in taken.items():
        low, median, high = statistics.quantiles(values, n=4)
        spread = f"{low:.2f} to {high:.2f}"
        more = f"{median - first:+.2f}"
        lines.append(f"  {name:24}{median:9.2f}{spread:>18}{more:>9}{median / first:8.2f}")
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
