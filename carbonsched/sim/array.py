"""Many simulations as the tasks of one Slurm job array, their outcomes in a shared folder."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from carbonsched.errors import ExternalError
from carbonsched.planning import PlanningParameters
from carbonsched.sim.files import read_scenario
from carbonsched.sim.outcome import forget, keep, simulated

_TASKS = "tasks.json"
_LOGS = "logs"
_SCRIPT = """#!/bin/sh
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec {python} -m carbonsched.cli.simulate_task {tasks} "$SLURM_ARRAY_TASK_ID"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One policy on one scenario; paths are absolute, and every node knows them."""

    scenario: str
    policy: str
    slot_s: int
    minimum_gain_pct: float
    folder: str

    def run(self) -> None:
        """Simulate, and keep the outcome in its folder.

        Raises:
            RequestError: the scenario is wrong.
        """
        parameters = PlanningParameters(slot_s=self.slot_s, minimum_gain_pct=self.minimum_gain_pct)
        scenario = read_scenario(Path(self.scenario))
        keep(simulated(scenario, self.policy, parameters), Path(self.folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a task may run and the whole may take, and the user's own options for sbatch."""

    task_minutes: int = 60
    wait_s: int = 86_400
    options: tuple[str, ...] = ()


def run_array(tasks: Sequence[Task], folder: Path, limits: Limits) -> None:
    """Submit the tasks and wait for their end; whether each succeeded is told by its outcome.

    Whoever interrupts the wait cancels what has not ended.

    Raises:
        ExternalError: no Slurm, Slurm refuses, or the wait is too long; one line.
        OSError: the folder cannot be written.
    """
    (folder / _LOGS).mkdir(parents=True, exist_ok=True)
    for number, task in enumerate(tasks):
        forget(Path(task.folder))
        log_of(folder, number).unlink(missing_ok=True)
    document = json.dumps([asdict(task) for task in tasks], indent=1)
    (folder / _TASKS).write_text(document, encoding="utf-8")
    name = f"carbonsched-simulate-{os.getpid()}"
    command = [
        *("sbatch", "--parsable", "--wait", f"--job-name={name}", f"--array=0-{len(tasks) - 1}"),
        *(f"--time={limits.task_minutes}", f"--output={log_of(folder, '%a')}", *limits.options),
    ]
    script = _SCRIPT.format(
        python=shlex.quote(sys.executable), tasks=shlex.quote(str(folder / _TASKS))
    )
    _submit(command, script, name, limits.wait_s)


def log_of(folder: Path, number: int | str) -> Path:
    """Where a task writes what it has to say."""
    return folder / _LOGS / f"{number}.log"


def run_task(tasks: Path, number: int) -> None:
    """What a task of the array does on its node."""
    Task(**json.loads(tasks.read_text(encoding="utf-8"))[number]).run()


def _submit(command: Sequence[str], script: str, name: str, wait_s: int) -> None:
    try:
        sbatch = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        raise ExternalError(
            "--slurm: there is no sbatch on this host; without --slurm scenarios are run here"
        ) from None
    with sbatch:
        try:
            said, complaint = sbatch.communicate(script, timeout=wait_s)
        except subprocess.TimeoutExpired:
            _cancel(sbatch, name)
            raise ExternalError(
                f"--slurm: the tasks did not end within {wait_s / 3600:g} h and were cancelled;"
                " see --slurm-wait"
            ) from None
        except BaseException:  # someone interrupts: nothing of ours shall go on
            _cancel(sbatch, name)
            raise
    if not said.strip():  # it was not accepted; else outcomes tell what became of the tasks
        lines = [line for line in complaint.splitlines() if line.strip()]
        reason = lines[-1].removeprefix("sbatch: ") if lines else "no reason given"
        raise ExternalError(f"--slurm: sbatch refused: {reason}")


def _cancel(sbatch: subprocess.Popen[str], name: str) -> None:
    sbatch.kill()
    subprocess.run(["scancel", f"--name={name}"], check=False, timeout=60)
