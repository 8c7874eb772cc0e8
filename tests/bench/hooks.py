"""What prolog and epilog add to a job's begin and end, beside a script that does nothing.

As root: python tests/bench/hooks.py [ROUNDS]. The three scripts take turns, so that whatever else
the machine does meets all of them alike; "more" is the median of the differences within each turn.
With a disk that hangs, which is frozen for the purpose, only the longest time matters.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOOKS = Path(__file__).resolve().parents[2] / "slurm"
EMPTY = "empty script"
NODE = "n2"
JOB = {
    "SLURMD_NODENAME": NODE, "SLURM_CLUSTER_NAME": "lab", "SLURM_JOB_ID": "77",
    "SLURM_JOB_UID": "1001", "SLURM_JOB_USER": "ada", "SLURM_NODELIST": "n[1-4]",
    "SLURM_JOB_CPUS_PER_NODE": "8(x4)", "SLURM_JOB_NTASKS": "32", "SLURM_JOB_GPUS": "0,1",
    "SLURM_JOB_EXIT_CODE": "0",
}  # fmt: skip
FROZEN_ROUNDS = 5


def main() -> int:
    """Print the tables, for each shell that /bin/sh may be."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    shells = [found for name in ("dash", "bash") if (found := shutil.which(name))]
    with tempfile.TemporaryDirectory(prefix="carbonsched-bench-", dir="/var/tmp") as name:
        for shell in shells:
            folder = Path(name, Path(shell).name)
            scripts, events = prepared(folder, shell)
            compare(f"{shell}, spool there", scripts, rounds)
            written = sum(1 for _ in events.iterdir())
            if written != 2 * rounds:
                raise SystemExit(f"{written} events of {2 * rounds}")
            with frozen(events, folder / "disk"):
                compare(f"{shell}, spool's disk hangs", scripts, FROZEN_ROUNDS)
            shutil.rmtree(events)
            compare(f"{shell}, spool missing", scripts, rounds)
    return 0


def prepared(folder: Path, shell: str) -> tuple[dict[str, Path], Path]:
    """The scripts for a shell, and the folder into which the hooks write."""
    events = folder / "spool" / NODE / "events"
    events.mkdir(parents=True)
    texts = {name: (HOOKS / name).read_text() for name in ("prolog.sh", "epilog.sh")}
    scripts = {}
    for name, text in ({EMPTY: "#!/bin/sh\n"} | texts).items():
        scripts[name] = folder / name.replace(" ", "-")
        own = text.replace("/var/spool/carbonsched", str(folder / "spool"))
        scripts[name].write_text(own.replace("#!/bin/sh", f"#!{shell}", 1))
        scripts[name].chmod(0o755)
    return scripts, events


@contextmanager
def frozen(events: Path, image: Path) -> Iterator[None]:
    """A disk of its own is mounted there, and hangs for the length of a block."""
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    command("mkfs.ext4", "-q", str(image))
    command("mount", "-o", "loop", str(image), str(events))
    command("fsfreeze", "--freeze", str(events))
    try:
        yield
    finally:
        command("fsfreeze", "--unfreeze", str(events))
        time.sleep(0.5)  # writers that were stuck close their files
        command("umount", str(events))


def command(*argv: str) -> None:
    """A program that must succeed."""
    subprocess.run(argv, check=True, timeout=10)


def compare(title: str, scripts: dict[str, Path], rounds: int) -> None:
    """Least and median time, and the cost beside the empty script, of interleaved runs."""
    taken: dict[str, list[float]] = {name: [] for name in scripts}
    for _ in range(rounds):
        for name, path in scripts.items():
            began = time.perf_counter()
            # Without a time limit: waiting with one polls, and would round the figures.
            subprocess.run(
                [path], env=JOB, cwd="/", check=True, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            taken[name].append((time.perf_counter() - began) * 1000)
    lines = ["", f"{title}: {rounds} interleaved runs each, milliseconds"]
    lines.append(f"  {'':14}{'least':>9}{'median':>9}{'most':>9}{'more':>9}{'ratio':>8}")
    for name, values in taken.items():
        more = statistics.median(a - b for a, b in zip(values, taken[EMPTY], strict=True))
        ratio = statistics.median(values) / statistics.median(taken[EMPTY])
        lines.append(
            f"  {name:14}{min(values):9.2f}{statistics.median(values):9.2f}{max(values):9.2f}"
            f"{more:+9.2f}{ratio:8.2f}"
        )
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
