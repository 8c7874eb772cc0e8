"""Runs the demonstration; ``deploy/demo`` installs what it needs and calls this."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from lab import Lab, LabConfig, LabError, LabUser
from stack import SITE_FILE, Stack, StackSettings

from .story import ADA, BEN, Story
from .telling import Telling

ROOT = Path(__file__).resolve().parents[2]
# A Wednesday in August: sun and wind halve the intensity from the morning to the afternoon.
RECORD_START = "2021-08-25T05:00Z"


def main() -> int:
    """Exit status 0 only if every step really happened."""
    parser = argparse.ArgumentParser(prog="deploy/demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    parser.add_argument("--reports", type=Path, help="where the reports go (a new folder in /tmp)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reports = options.reports or Path(tempfile.mkdtemp(prefix="carbonsched-reports-", dir="/tmp"))
    reports.mkdir(parents=True, exist_ok=True)
    reports.chmod(0o755)
    telling = Telling(sys.stdout)
    try:
        return _run(telling, reports, keep=options.keep)
    except LabError as error:
        telling.failed(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def _run(telling: Telling, reports: Path, *, keep: bool) -> int:
    programs = Path(sys.executable).parent
    # A name that nobody can guess, in a place that every user can reach.
    folder = Path("/var/tmp", f"carbonsched-demo-{secrets.token_hex(8)}")  # noqa: S108
    lab = Lab(
        LabConfig(
            directory=folder,
            users=(LabUser(name=ADA, account="physics"), LabUser(name=BEN, account="biology")),
            submit_plugin=ROOT / "slurm" / "job_submit.lua",
            path=(programs,),
            environment={"CARBONSCHED_SITE": str(folder / SITE_FILE), "OMP_NUM_THREADS": "1"},
        )
    )
    settings = StackSettings(
        record_start=RECORD_START, quotas=((ADA, "5 g"), (BEN, "1 g")), operators=("root",)
    )
    kept = False
    try:
        telling.chapter("A Slurm cluster of four nodes in a directory of its own")
        lab.start(telling.step)
        stack = Stack(lab, programs, settings)
        telling.step("carbonsched: the daemon, an agent on each node")
        stack.start()
        happened = Story(stack, telling, reports).tell()
        if keep:
            kept = True
            _say_how_to_play(telling, stack)
        return 0 if happened else 1
    finally:
        if not kept:
            telling.chapter("Stopping")
            lab.stop()
            telling.step("everything that was started is stopped; users, cgroups, files are gone")


def _say_how_to_play(telling: Telling, stack: Stack) -> None:
    lab = stack.lab
    environment = " ".join(
        f"{name}={value}" for name, value in lab.env(ADA).items() if name in {"SLURM_CONF", "PATH"}
    )
    telling.chapter(f"Left running, {datetime.now().astimezone():%H:%M}")
    telling.lines(
        f"As {ADA} (or {BEN}):",
        f"  runuser -u {ADA} -- env -C {lab.home(ADA)} {environment}"
        f" CARBONSCHED_SITE={stack.site_file} bash",
        "  csbatch --carbon-max-delay=2min --time=1 --wrap 'sleep 20'; csqueue --why; csreport",
        "Logs:",
        f"  {lab.log}",
        "To stop it and clean up:",
        f"  {ROOT}/deploy/demo --stop {lab.directory}",
    )


if __name__ == "__main__":
    raise SystemExit(main())
