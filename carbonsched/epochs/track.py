"""Runs a program unchanged and marks the epochs that its output tells.

The program's output goes on byte by byte as it comes and is looked at only then. At a terminal the
program still writes to one. Signals and the exit status are passed on.
"""

from __future__ import annotations

import codecs
import os
import re
import resource
import select
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from carbonsched.epochs.lines import EpochCount, EpochLines
from carbonsched.epochs.terminal import Terminal
from carbonsched.epochs.tracker import EpochTracker

NOT_EXECUTABLE = 126
NOT_FOUND = 127
AFTER_EXIT_S = 2.0
"""How long what the program left running may still write after its own end."""
FORWARDED = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGCONT, signal.SIGALRM, signal.SIGXCPU,
)  # fmt: skip
_FROM_KERNEL = 0x80  # SI_KERNEL of sigaction(2): a terminal's own signals have this origin
_CHUNK = 65536


class CommandError(Exception):
    """The program cannot be run; ``status`` is what a shell would exit with."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class _Stream:
    """One way out of the program: where it is read, where it goes on to, what it told."""

    source: int
    target: int
    lines: EpochLines
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )


def track(
    command: Sequence[str], *, epochs: int | None = None, pattern: re.Pattern[str] | None = None
) -> int:
    """Run a command to its end; its exit status, or the negative number of what killed it.

    ``epochs`` is how many the training runs in all, ``pattern`` finds them in a line by its groups
    ``epoch`` and, where there is one, ``epochs``.

    Raises:
        CommandError: the command cannot be run.
    """
    return _Run(command, epochs, pattern).to_the_end()


def die_by(number: int) -> int:
    """End as the program did, by the same signal; the status to exit with if that cannot be."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the program's own core is enough
    with suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    return 128 + number


class _Run:
    """A program that runs, and the epochs that it tells."""

    def __init__(
        self, command: Sequence[str], epochs: int | None, pattern: re.Pattern[str] | None
    ) -> None:
        self._tracker = EpochTracker(epochs)
        self._count = EpochCount(epochs)
        self._pattern = pattern
        self._streams: list[_Stream] = []
        self._terminals: list[Terminal] = []
        self._whole_to_the_end = False
        self._at_terminal = any(os.isatty(number) for number in (0, 1, 2))
        self._signals, self._signalled = os.pipe()
        watched = {*FORWARDED, signal.SIGCHLD, signal.SIGWINCH}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        self._watched = watched
        self._process = self._start(command)

    def to_the_end(self) -> int:
        """Pass on what it writes and the signals that come, until it has ended."""
        threading.Thread(target=self._wait_for_signals, daemon=True).start()
        while (status := self._process.poll()) is None:
            self._wait(1.0)
        leave_at = time.monotonic() + AFTER_EXIT_S
        while self._streams and (left_s := leave_at - time.monotonic()) > 0:
            self._wait(left_s)
        if status == 0 and self._whole_to_the_end:
            self._tracker.epoch_end()
        self._tracker.stop()
        return status

    def _wait(self, most_s: float) -> None:
        """Until something comes, and pass it on."""
        sources = {stream.source: stream for stream in self._streams}
        ready, _, _ = select.select([self._signals, *sources], [], [], most_s)
        if self._signals in ready:
            self._pass_signals_on()
        for source in ready:
            if source in sources:
                self._pass_output_on(sources[source])

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Connect stdout and stderr, both to one terminal if they were, and start the program."""
        stdout = self._way_out(1)
        same = os.isatty(2) and os.isatty(1) and os.ttyname(1) == os.ttyname(2)
        stderr = stdout if same else self._way_out(2)
        try:
            return subprocess.Popen(
                command,
                stdout=stdout,
                stderr=stderr,
                env=_environment(),
                # At a terminal it stays in the group that has it; elsewhere it makes its own, so
                # that a signal to ours reaches it once: from here.
                process_group=None if self._at_terminal else 0,
                preexec_fn=self._unblock,  # noqa: PLW1509 - no thread has been started yet
            )
        except FileNotFoundError:
            raise CommandError(f"{command[0]}: command not found", NOT_FOUND) from None
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else str(error)
            raise CommandError(f"{command[0]}: {said}", NOT_EXECUTABLE) from None
        finally:
            for number in {stdout, stderr}:
                os.close(number)

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _way_out(self, target: int) -> int:
        """The end that the program writes to."""
        if os.isatty(target):
            terminal = Terminal(target)
            self._terminals.append(terminal)
            source, inner = terminal.outer, terminal.inner
        else:
            source, inner = os.pipe()
        self._streams.append(_Stream(source, target, EpochLines(self._pattern)))
        return inner

    def _wait_for_signals(self) -> None:
        """In a thread of its own: each signal and where it came from goes to the main loop."""
        while True:
            with suppress(InterruptedError):
                came = signal.sigwaitinfo(self._watched)
                os.write(self._signalled, bytes([came.si_signo, came.si_code == _FROM_KERNEL]))

    def _pass_signals_on(self) -> None:
        came = os.read(self._signals, 2 * 256)
        for number, from_kernel in zip(came[::2], came[1::2], strict=True):
            if number == signal.SIGWINCH:
                for terminal in self._terminals:
                    terminal.resize()
            if number == signal.SIGCHLD or self._process.returncode is not None:
                continue
            # What a terminal sends goes to the program as well, as it is in the same group.
            if not (self._at_terminal and from_kernel):
                with suppress(OSError):
                    os.kill(self._process.pid, number)

    def _pass_output_on(self, stream: _Stream) -> None:
        try:
            data = os.read(stream.source, _CHUNK)
        except OSError:  # a terminal that nobody has open any more
            data = b""
        if not data or not _write(stream.target, data):
            # The program is told by its next write, as it would have been.
            self._streams.remove(stream)
            os.close(stream.source)
        with suppress(Exception):  # nothing of ours may end the program
            self._look_at(stream, data)

    def _look_at(self, stream: _Stream, data: bytes) -> None:
        for told in stream.lines.feed(stream.decoder.decode(data)):
            turn = self._count.take(told)
            if turn is None:
                continue
            if turn.epochs is not None:
                self._tracker.epochs = turn.epochs
            if turn.ends:
                self._tracker.epoch_end()
            else:
                self._tracker.stop()
            if turn.begins:
                self._tracker.epochs = turn.epochs
                self._tracker.epoch_start(turn.epoch)
            # Of a program that shows its epochs when all is over, only the last one is seen.
            # One that began with a table's row may be no epoch at all: the training may be over.
            by_its_first_line = told.fraction is None and not told.row
            self._whole_to_the_end = by_its_first_line and (turn.ends or turn.epoch == 0)


def _environment() -> dict[str, str]:
    """Python holds back what it writes to a pipe, so its epochs would be told too late."""
    return dict(os.environ) if os.isatty(1) else {"PYTHONUNBUFFERED": "1"} | os.environ


def _write(target: int, data: bytes) -> bool:
    """Write all of it, waiting as the program would have; ``False`` if nobody takes it."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(target, rest) :]
        except BlockingIOError:
            select.select([], [target], [])
        except OSError:
            return False
    return True
