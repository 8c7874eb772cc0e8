"""The processes of a lab, remembered on disk so that later anybody can end exactly these."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import proc
from .failure import LabError, with_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A daemon as it is started: in the foreground, its output in a log of its own."""

    name: str
    argv: tuple[str, ...]
    log: Path
    user: str = "root"
    env: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started process; pid and start time together cannot mean another one."""

    spec: ProcessSpec
    pid: int
    start_ticks: int

    def alive(self) -> bool:
        """Whether it still runs."""
        _reap(self.pid)
        return proc.start_ticks(self.pid) == self.start_ticks

    def signal(self, number: signal.Signals) -> None:
        """Sends the signal if the process is still the one that was started."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Processes:
    """Starts, ends and restarts processes by name; the table is a file in the lab."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._running = _load(path)

    def __contains__(self, name: str) -> bool:
        return name in self._running and self._running[name].alive()

    def names(self) -> list[str]:
        """In the order in which they were started."""
        return list(self._running)

    def get(self, name: str) -> Running:
        """The process as it was last started."""
        try:
            return self._running[name]
        except KeyError:
            raise LabError(f"no process called {name} was started in this lab") from None

    def start(self, spec: ProcessSpec) -> Running:
        """Starts it, and records it before anything else happens.

        Raises:
            LabError: a process of that name runs, or the program cannot be executed.
        """
        if spec.name in self:
            raise LabError(f"{spec.name} is running already")
        pid = _spawn(spec)
        running = Running(spec=spec, pid=pid, start_ticks=proc.start_ticks(pid) or 0)
        self._running.pop(spec.name, None)  # a restarted one is the youngest
        self._running[spec.name] = running
        self._save()
        return running

    def wait_ready(self, name: str, ready: Callable[[], bool], timeout_s: float) -> None:
        """Waits until ``ready()``; fails at once when the process ends first."""
        running = self.get(name)
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not running.alive():
                raise with_log(f"{name} ended while it was starting", running.spec.log)
            if time.monotonic() > deadline:
                raise with_log(f"{name} was not ready after {timeout_s:.0f} s", running.spec.log)
            time.sleep(_POLL_S)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends the signal; SIGKILL also waits until the process is gone."""
        running = self.get(name)
        running.signal(number)
        if number == signal.SIGKILL:
            _wait_gone([running], 5.0)

    def stop(self, *names: str) -> None:
        """Ends them together: SIGTERM, and SIGKILL for those that take too long."""
        chosen = [self._running[name] for name in names if name in self._running]
        for running in chosen:
            running.signal(signal.SIGTERM)
        stubborn = _wait_gone(chosen, max((one.spec.stop_s for one in chosen), default=0.0))
        for running in stubborn:
            running.signal(signal.SIGKILL)
        _wait_gone(stubborn, 5.0)

    def restart(self, name: str, env: Mapping[str, str] | None = None) -> Running:
        """Ends it if it runs, and starts it as before, or with another environment."""
        spec = self.get(name).spec
        self.stop(name)
        return self.start(spec if env is None else replace(spec, env=env))

    def _save(self) -> None:
        rows = [_to_row(running) for running in self._running.values()]
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(rows, indent=1))
        draft.chmod(0o600)
        draft.replace(self._path)


def _spawn(spec: ProcessSpec) -> int:
    identity: dict[str, Any] = {}
    if spec.user != "root":
        identity = {"user": spec.user, "group": spec.user, "extra_groups": ()}
    try:
        with spec.log.open("ab") as log:
            child: subprocess.Popen[bytes] = subprocess.Popen(
                spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(spec.env),
                cwd="/",
                umask=0o022,
                start_new_session=True,
                **identity,
            )
    except OSError as error:
        raise LabError(f"{spec.name} cannot be started: {error}") from None
    child.returncode = 0  # it outlives this object; the table watches it from now on
    return child.pid


def _wait_gone(running: Iterable[Running], timeout_s: float) -> list[Running]:
    """Those that are still there after the time."""
    deadline = time.monotonic() + timeout_s
    left = [one for one in running if one.alive()]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        left = [one for one in left if one.alive()]
    return left


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # another process may have started it
        os.waitpid(pid, os.WNOHANG)


def _to_row(running: Running) -> dict[str, Any]:
    spec = asdict(running.spec) | {"log": str(running.spec.log), "env": dict(running.spec.env)}
    return {"pid": running.pid, "start_ticks": running.start_ticks, "spec": spec}


def _load(path: Path) -> dict[str, Running]:
    if not path.exists():
        return {}
    table = {}
    for row in json.loads(path.read_text()):
        raw = row["spec"] | {"argv": tuple(row["spec"]["argv"]), "log": Path(row["spec"]["log"])}
        spec = ProcessSpec(**raw)
        table[spec.name] = Running(spec=spec, pid=row["pid"], start_ticks=row["start_ticks"])
    return table
