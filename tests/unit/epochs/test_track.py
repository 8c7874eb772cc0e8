"""``carbonsched track`` as users run it: a process of its own, on pipes and on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

TRACK = [sys.executable, "-m", "carbonsched.cli.main", "track"]
LIMIT_S = 60


def start(*words, **options):
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*TRACK, *words], **(pipes | options))


def finish(*words, feed=None, **options):
    if feed is not None:
        options["stdin"] = subprocess.PIPE
    with start(*words, **options) as process:
        out, err = process.communicate(feed, timeout=LIMIT_S)
    return process.returncode, out, err


def python(code, *words, **options):
    return finish(*words, "--", sys.executable, "-c", code, **options)


EPOCHS = """
import time
for epoch in range({count}):
    print(f"Epoch {{epoch + 1}}/{of}")
    time.sleep(0.01)
"""


def test_the_epochs_of_the_output_are_marked(agent):
    status, out, err = python(EPOCHS.format(count=2, of=2))
    assert (status, out, err) == (0, b"Epoch 1/2\nEpoch 2/2\n", b"")
    assert agent.told() == [("start", 1, 2), ("end", 1, 2), ("start", 2, 2), ("end", 2, 2)]


TABLE = """
import time
print("epoch     train_loss  valid_loss  accuracy  time    ")
for epoch in range(2):
    time.sleep(0.01)
    print(f"{epoch:<10}0.812345    0.534210    0.812000  00:12     ")
"""


@pytest.mark.parametrize(("words", "more"), [((), [("start", 3, None)]), (("--epochs", "2"), [])])
def test_an_epoch_that_a_row_tells_the_end_of_has_ended_and_no_other(agent, words, more):
    """Without their number the last row may be followed by another; the end of all ends none."""
    status, _, _ = python(TABLE, *words)
    of = 2 if words else None
    assert status == 0
    assert agent.told() == [
        ("start", 1, of), ("end", 1, of), ("start", 2, of), ("end", 2, of), *more,
    ]  # fmt: skip


def test_an_epoch_ends_with_the_number_of_epochs_that_came_after_its_start(agent):
    bar = "print('Epoch 1/2 : |----| 0.00% [0/3 00:00<?]', end='\\r')"
    status, _, _ = python(TABLE.replace("    time", f"    {bar}\n    time"))
    assert status == 0
    assert agent.told() == [("start", 1, None), ("end", 1, 2), ("start", 2, 2), ("end", 2, 2)]


def test_a_declared_number_and_a_pattern_win_and_stderr_tells_as_well(agent):
    code = "import sys; print('Epoch 7'); print('lap 0;', 'lap 1;', sep='\\n', file=sys.stderr)"
    status, out, err = python(code, "--epochs", "5", "--pattern", r"lap (?P<epoch>\d+)")
    assert (status, out, err) == (0, b"Epoch 7\n", b"lap 0;\nlap 1;\n")
    assert agent.told() == [("start", 1, 5), ("end", 1, 5), ("start", 2, 5), ("end", 2, 5)]


@pytest.mark.parametrize("ending", ["raise SystemExit(3)", "os.kill(os.getpid(), 9)"])
def test_an_epoch_in_which_the_program_failed_has_not_ended(agent, ending):
    status, _, _ = python("import os; " + EPOCHS.format(count=2, of=9).strip() + f"\n{ending}")
    assert status in (3, -9)
    assert agent.told() == [("start", 1, 9), ("end", 1, 9), ("start", 2, 9)]


def test_every_byte_passes_on_and_stdin_is_the_programs():
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()); sys.stderr.write('e')"
    data = bytes(range(256)) * 4000 + os.urandom(100_000) + b"Epoch 3"
    assert python(code, feed=data) == (0, data, b"e")


def test_what_is_written_is_passed_on_before_the_line_ends():
    code = "import sys; print('half', end='', flush=True); input(); print(' whole')"
    with start("--", sys.executable, "-c", code, stdin=subprocess.PIPE) as process:
        ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
        assert ready
        assert os.read(process.stdout.fileno(), 99) == b"half"
        assert process.communicate(b"\n", timeout=LIMIT_S) == (b" whole\n", b"")


def test_a_python_that_writes_to_a_pipe_does_not_hold_back():
    code = "import sys; print('now'); sys.stdin.readline()"
    with start("--", sys.executable, "-c", code, stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"now\n"
        process.communicate(b"\n", timeout=LIMIT_S)


@pytest.mark.parametrize("status", [0, 1, 2, 64, 126, 127, 255])
def test_the_exit_status_is_the_programs(status):
    assert finish("--", "sh", "-c", f"exit {status}") == (status, b"", b"")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGABRT", "SIGSEGV", "SIGPIPE", "SIGUSR1"])
def test_it_dies_by_the_signal_that_the_program_died_of(name):
    number = signal.Signals[name]

    def no_core():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    status, _, _ = finish("--", "sh", "-c", f"kill -{number:d} $$", preexec_fn=no_core)
    assert status == -number


HANDLER = """
import signal, sys
def heard(number, frame):
    print(signal.Signals(number).name, flush=True)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP,
               signal.SIGCONT, signal.SIGQUIT):
    signal.signal(number, heard)
print("ready", flush=True)
while sys.stdin.readline():
    pass
"""


@pytest.mark.parametrize("to_the_group", [False, True])
def test_signals_reach_the_program_once_each(to_the_group):
    with start(
        "--", sys.executable, "-c", HANDLER, stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGCONT", "SIGQUIT"):
            send = os.killpg if to_the_group else os.kill
            send(process.pid, signal.Signals[name])
            assert process.stdout.readline() == f"{name}\n".encode()
        out, _ = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (0, b"")


def test_a_reader_that_leaves_ends_the_program_as_it_would_have():
    with start("--", "yes") as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(LIMIT_S) == -signal.SIGPIPE
        assert process.stderr.read() == b""


def test_what_the_program_left_running_is_not_waited_for():
    began = time.monotonic()
    assert finish("--", "sh", "-c", "sleep 300 & echo done")[:2] == (0, b"done\n")
    assert time.monotonic() - began < 100


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--", "/nonexistent/train"], 127, "/nonexistent/train: command not found"),
        (["nosuchcommand", "--epochs"], 127, "nosuchcommand: command not found"),
        (["--", "/etc/passwd"], 126, "/etc/passwd: Permission denied"),
        ([], 64, "no command; write it after --, as in 'carbonsched track -- ./train'"),
        (["--epochs", "0", "--", "true"], 64, "--epochs '0' is not a whole number from 1 upwards"),
        (["--epochs=x", "true"], 64, "--epochs 'x' is not a whole number from 1 upwards"),
        (["--pattern", "(", "true"], 64, "--pattern '(' is no regular expression: "),
        (["--pattern", "x", "true"], 64, "--pattern 'x' has no group (?P<epoch>...)"),
    ],
)
def test_what_cannot_be_run_is_one_line(words, status, said):
    done, out, err = finish(*words)
    assert (done, out) == (status, b"")
    (line,) = err.decode().splitlines()
    assert line.startswith(f"carbonsched track: {said}")


def as_a_shell_does():
    """Take the terminal, and interrupts as well: what runs in the background ignores those."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Screen:
    """A terminal with ``carbonsched track`` in it, as a person's."""

    def __init__(self, code, columns=91):
        self.outer, inner = pty.openpty()
        self.resize(columns)
        self.process = subprocess.Popen(
            [*TRACK, "--", sys.executable, "-c", code],
            stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            preexec_fn=as_a_shell_does,  # noqa: PLW1509
        )  # fmt: skip
        os.close(inner)
        self.text = b""

    def resize(self, columns):
        fcntl.ioctl(self.outer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def until(self, words):
        deadline = time.monotonic() + LIMIT_S
        while words not in self.text:
            ready, _, _ = select.select([self.outer], [], [], deadline - time.monotonic())
            assert ready, self.text
            self.text += os.read(self.outer, 4096)

    def type(self, text):
        os.write(self.outer, text)

    def end(self):
        return self.process.wait(LIMIT_S)

    def close(self):
        self.process.kill()
        self.process.wait(LIMIT_S)
        os.close(self.outer)


@pytest.fixture
def screen():
    made = []

    def making(code):
        made.append(Screen(code))
        return made[0]

    yield making
    for one in made:
        one.close()


def test_at_a_terminal_the_program_has_one_of_the_same_size(agent, screen):
    screen = screen(
        "import os, sys, time\n"
        "print(*(os.isatty(number) for number in (0, 1, 2)), os.get_terminal_size(1).columns)\n"
        "print('Epoch 1/1', file=sys.stderr)\n"
        "while os.get_terminal_size(2).columns != 55:\n"
        "    time.sleep(0.01)\n"
        "print('as wide', input())\n"
    )
    screen.until(b"True True True 91\r\nEpoch 1/1\r\n")
    assert b"\r\r" not in screen.text
    screen.resize(55)
    screen.type(b"typed\n")
    screen.until(b"as wide typed\r\n")
    assert screen.end() == 0
    assert agent.told() == [("start", 1, 1), ("end", 1, 1)]


def test_at_a_terminal_an_interrupt_reaches_the_program_once(screen):
    screen = screen(HANDLER)
    screen.until(b"ready\r\n")
    screen.type(b"\x03")
    screen.until(b"SIGINT")
    for name in ("SIGUSR1", "SIGINT", "SIGTERM"):  # to us alone; two at once would be one
        os.kill(screen.process.pid, signal.Signals[name])
        screen.until(f"{name}\r\n".encode() if name != "SIGINT" else b"SIGUSR1\r\nSIGINT\r\n")
    assert screen.text.count(b"SIGINT") == 2
    screen.type(b"\x04")
    assert screen.end() == 0


def test_at_a_terminal_the_program_that_is_interrupted_ends_it(screen):
    screen = screen("import time; print('ready', flush=True); time.sleep(300)")
    screen.until(b"ready\r\n")
    screen.type(b"\x03")
    screen.until(b"KeyboardInterrupt")
    assert screen.end() == -signal.SIGINT
