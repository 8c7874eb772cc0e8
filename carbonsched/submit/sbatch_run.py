"""Running the real sbatch: its words, its input, its output and its end are passed unchanged."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carbonsched.errors import ExternalError

VARIABLE = "CARBONSCHED_SBATCH"
_SUBMITTED = re.compile(rb"Submitted batch job ([0-9]+)(?: on cluster (\S+))?")
_PARSABLE = re.compile(rb"([0-9]+)(?:;(\S+))?")
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class SbatchMissingError(ExternalError):
    """There is no sbatch to run; the status is the shell's for a command not found."""

    exit_status = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A job that sbatch said it submitted; ``cluster`` where it named one."""

    job_id: int
    cluster: str | None


def sbatch_program() -> str:
    """The command to run: ``$CARBONSCHED_SBATCH``, else ``sbatch`` on the path."""
    return os.environ.get(VARIABLE) or "sbatch"


def become_sbatch(words: Sequence[str]) -> int:
    """Replace this process by sbatch.

    Raises:
        SbatchMissingError: it cannot be executed.
    """
    program = sbatch_program()
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(program, [program, *words])  # noqa: S606 - exactly this program, no shell
    except OSError as error:
        raise _missing(program, error) from None


class Sbatch:
    """One run of sbatch, as a child whose standard output is copied through."""

    def __init__(self, words: Sequence[str], *, stdin: bytes | None, at_once: bool) -> None:
        """Start it. ``at_once``: it must not keep its output until its end (``--wait``).

        Raises:
            SbatchMissingError: it cannot be executed.
        """
        program = sbatch_program()
        self._output, theirs = _terminal() if at_once else os.pipe()
        actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, theirs, 1)]
        memory = None if stdin is None else _in_memory(stdin)
        if memory is not None:
            actions.append((os.POSIX_SPAWN_DUP2, memory, 0))
        try:
            self._pid = os.posix_spawnp(
                program,
                [program, *words],
                os.environ,
                file_actions=actions,
                setsigdef=_IGNORED_BY_PYTHON,
            )
        except OSError as error:
            raise _missing(program, error) from None
        finally:
            os.close(theirs)
            if memory is not None:
                os.close(memory)

    def forward_signals(self) -> None:
        """Hand on what is sent to this process alone; what was ignored stays ignored."""
        for number in _FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._forward)

    def copy_output(self, on_submitted: Callable[[Submitted], None]) -> None:
        """Write sbatch's output to ours as it comes; tell of the job that it names, once."""
        seen = b""
        told = False
        while chunk := self._read():
            with contextlib.suppress(OSError):  # nobody reads ours any more: the job still counts
                _write_all(1, chunk)
            seen += chunk
            if not told and (submitted := find_submitted(seen)) is not None:
                told = True
                on_submitted(submitted)
        os.close(self._output)

    def wait(self) -> int:
        """The exit status; negative where a signal ended it."""
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bytes:
        try:
            return os.read(self._output, 65_536)
        except OSError:  # EIO: the other side of a terminal is closed
            return b""

    def _forward(self, number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)


def find_submitted(output: bytes) -> Submitted | None:
    """The job in sbatch's output, plain or ``--parsable``; only whole lines count."""
    *lines, _ = output.split(b"\n")
    for line in lines:
        found = _SUBMITTED.fullmatch(line) or _PARSABLE.fullmatch(line)
        if found:
            cluster = found[2].decode("utf-8", "replace") if found[2] else None
            return Submitted(job_id=int(found[1]), cluster=cluster)
    return None


def end_like(status: int) -> int:
    """Our exit status for sbatch's; where a signal ended it, the same one ends us."""
    if status >= 0:
        return status
    with contextlib.suppress(OSError):  # SIGKILL has no other disposition
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
    return 128 - status


def _terminal() -> tuple[int, int]:
    """A terminal that changes nothing: on one, C programs write each line at once."""
    import tty  # noqa: PLC0415 - only --wait needs it

    ours, theirs = os.openpty()
    tty.setraw(theirs)
    return ours, theirs


def _in_memory(content: bytes) -> int:
    memory = os.memfd_create("script")
    _write_all(memory, content)
    os.lseek(memory, 0, os.SEEK_SET)
    return memory


def _write_all(target: int, content: bytes) -> None:
    while content:
        content = content[os.write(target, content) :]


def _missing(program: str, error: OSError) -> SbatchMissingError:
    return SbatchMissingError(
        f"cannot run {program}: {error.strerror}; is Slurm's sbatch on the path, or {VARIABLE} set?"
    )
