"""What sbatch must be told so that a job that writes checkpoints can be stopped and go on."""

from __future__ import annotations

import os

from carbonsched.errors import RequestError
from carbonsched.submit.sbatch_words import CommandLine
from carbonsched.submit.script import ScriptHead

_VARIABLES = {
    "SBATCH_NO_REQUEUE": "no-requeue",
    "SBATCH_REQUEUE": "requeue",
    "SBATCH_OPEN_MODE": "open-mode",
}
_NEEDED = {"requeue": "--requeue", "open-mode": "--open-mode=append"}
"""That Slurm may requeue it, and that its next run does not truncate what this one has printed."""


def requeue_words(line: CommandLine, head: ScriptHead) -> list[str]:
    """The words that the owner has not said, on the command line, in the script or environment.

    None where csbatch cannot tell what the script says. The daemon asks Slurm before it stops a
    job, so one that cannot be requeued then runs on.

    Raises:
        RequestError: the owner rules a requeue out.
    """
    variables = {option for name, option in _VARIABLES.items() if name in os.environ}
    given = line.names | head.sbatch_names | variables
    if "no-requeue" in given:
        raise RequestError(
            "--carbon-checkpoint and sbatch's --no-requeue contradict each other; give one"
        )
    if line.unknown is not None or head.unknown is not None:
        return []
    return [word for name, word in _NEEDED.items() if name not in given]
