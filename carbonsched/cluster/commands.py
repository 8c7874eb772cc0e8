"""Running Slurm's commands: a clean environment, a time limit, errors of our own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbonsched.cluster.rate import TokenBucket
from carbonsched.errors import ClusterUnavailableError

_SLURM_VARIABLES = ("SLURM_", "SQUEUE_", "SACCT_", "SINFO_", "SCONTROL_", "SBATCH_", "SCHED_")
_KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT"})
# What the commands say when nobody answers; whatever else they say is a refusal.
_UNREACHABLE = (
    "unable to contact slurm controller",
    "connection refused",
    "connect failure",
    "timed out",
    "communications",
    "connection to slurmdbd",
    "problem talking to the database",
    "persistent connection",
    "protocol authentication error",
    "munge",
    "could not establish a configuration source",
    "zero bytes were transmitted",
    "can't be reached now",  # a cluster asked for by name, which slurmdbd does not find
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command printed and how it ended. Bytes that are not UTF-8 became ``U+FFFD``."""

    status: int
    output: str
    complaint: str

    @property
    def unreachable(self) -> bool:
        """Whether it failed because slurmctld, slurmdbd or munged did not answer."""
        said = self.complaint.lower()
        return self.status != 0 and any(words in said for words in _UNREACHABLE)


class SlurmCommands:
    """Slurm's commands of one cluster.

    Times are asked for as epoch seconds, array task lists whole, and no variable of the caller's
    may change a format.
    """

    def __init__(
        self,
        bin_dir: Path | None,
        conf: Path | None,
        timeout_s: float,
        controller_rate: TokenBucket,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._bin_dir = bin_dir
        self._timeout_s = timeout_s
        self._controller_rate = controller_rate
        self._environment = _clean(os.environ if environment is None else environment)
        if conf is not None:
            self._environment["SLURM_CONF"] = str(conf)

    def ask_controller(self, program: str, *words: str) -> Answer:
        """Run a command that calls slurmctld, within the bound on such calls.

        Raises:
            ClusterUnavailableError: it is not there, takes too long, or reaches nobody.
        """
        self._controller_rate.take()
        return self._run(program, words)

    def ask_accounting(self, program: str, *words: str) -> Answer:
        """Run a command that calls slurmdbd.

        Raises:
            ClusterUnavailableError: it is not there, takes too long, or reaches nobody.
        """
        return self._run(program, words)

    def _run(self, program: str, words: Sequence[str]) -> Answer:
        path = str(self._bin_dir / program) if self._bin_dir is not None else program
        try:
            done = subprocess.run(
                [path, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                env=self._environment,
                timeout=self._timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise ClusterUnavailableError(
                f"{program} gave no answer within {self._timeout_s:g} s; is the controller well?"
            ) from None
        except OSError as error:
            raise ClusterUnavailableError(
                f"cannot run {path}: {error.strerror}; set slurm.bin_dir in the configuration"
            ) from None
        answer = Answer(
            status=done.returncode,
            output=done.stdout.decode("utf-8", "replace"),
            complaint=done.stderr.decode("utf-8", "replace"),
        )
        if answer.unreachable:
            raise ClusterUnavailableError(f"{program}: {first_line(answer.complaint)}")
        return answer


def first_line(complaint: str) -> str:
    """The first line that a command complained with."""
    return next(
        (line.strip() for line in complaint.splitlines() if line.strip()), "no reason given"
    )


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environment.items()
        if name in _KEPT or not name.startswith(_SLURM_VARIABLES)
    }
    return kept | {
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "SLURM_TIME_FORMAT": "%s",
        "SLURM_BITSTR_LEN": "0",
    }
