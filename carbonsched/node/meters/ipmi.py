"""Whole-node power by the management controller: ``ipmitool dcmi power reading``.

A thread of its own asks every ``agent.ipmi_s`` seconds, so no sample starts a process or waits. A
value is held until the next, three periods at most; then the meter is lost until the controller
answers again. Some controllers say "deactivated" beside a true reading (OpenBMC), others 0 W when
they do not measure, so it is the figure that is judged.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Callable

from carbonsched.errors import ConfigError, MeterError
from carbonsched.model.energy import Domain
from carbonsched.node.journal import Journal
from carbonsched.node.meters.counters import LONGEST_SAMPLED_NS, NODE_LIMIT_W, Device, sampled
from carbonsched.node.meters.meter import DomainEnergy, Reading
from carbonsched.units import NS_PER_S, UJ_PER_J

SHORTEST_PERIOD_S = 10.0
CALL_LIMIT_S = 8.0
"""A controller that has not answered by then is left alone until the next period."""
HELD_PERIODS = 3
COMMAND = ("ipmitool", "dcmi", "power", "reading")

_POWER = re.compile(r"^\s*Instantaneous power reading\s*:\s*([0-9]+)\s*Watts?\b", re.MULTILINE)


def power_w(output: str) -> int:
    """Watts in ipmitool's answer.

    Raises:
        ValueError: it holds none, or what cannot be a running node's power.
    """
    match = _POWER.search(output)
    if match is None:
        raise ValueError(f"no power in its answer {' '.join(output.split())[:60]!r}")
    if not 0 < int(match[1]) <= NODE_LIMIT_W:
        raise ValueError(f"{match[1]} W is no node's power: the controller does not measure it")
    return int(match[1])


class IpmiMeter:
    """The controller's last answers."""

    key = "ipmi"
    name = "ipmi dcmi"
    longest_gap_ns = LONGEST_SAMPLED_NS

    def __init__(
        self, period_s: float, journal: Journal, steady_ns: Callable[[], int], limit_s: float
    ) -> None:
        self._period_s = period_s
        self._limit_s = limit_s
        self._journal = journal
        self._steady_ns = steady_ns
        self._device = Device(domain=Domain.NODE, name=self.name, limit_w=NODE_LIMIT_W)
        self._last: tuple[int, int] | None = None
        self._failure = "the management controller has not answered yet"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ipmi", daemon=True)
        self.failures = 0

    @classmethod
    def start(
        cls,
        period_s: float,
        journal: Journal,
        steady_ns: Callable[[], int],
        limit_s: float = CALL_LIMIT_S,
    ) -> IpmiMeter | None:
        """Begin to ask; ``None`` if ``period_s`` is 0.

        Raises:
            ConfigError: the period is too short, or there is no ipmitool.
        """
        if period_s == 0:
            return None
        if period_s < SHORTEST_PERIOD_S:
            raise ConfigError([f"agent.ipmi_s must be 0, or at least {SHORTEST_PERIOD_S:g} s"])
        if shutil.which(COMMAND[0]) is None:
            raise ConfigError(
                ["agent.ipmi_s is set and there is no ipmitool; install it, or set agent.ipmi_s: 0"]
            )
        meter = cls(period_s, journal, steady_ns, limit_s)
        meter._thread.start()
        return meter

    def read(self, steady_ns: int) -> Reading:
        """The power last told, as of now.

        Raises:
            MeterError: the controller has not told any for three periods.
        """
        last = self._last
        held_ns = round(HELD_PERIODS * self._period_s * NS_PER_S)
        if last is None or steady_ns - last[1] > held_ns:
            raise MeterError(f"ipmitool: {self._failure}")
        return {f"{self.name}.uw": last[0], f"{self.name}.at_ns": steady_ns}

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """The node's energy by its power over time."""
        del busy_ns
        energy = sampled(self._device, before, after, length_ns)
        return () if energy is None else (energy,)

    def close(self) -> None:
        """Ask no more; a call under way ends within its limit."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.ask()
            self._stop.wait(self._period_s)

    def ask(self) -> None:
        """Ask once, within the time limit."""
        try:
            watts = self._answer()
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            self.failures += 1
            limit = f"no answer within {self._limit_s:g} s"
            self._failure = limit if isinstance(error, subprocess.TimeoutExpired) else str(error)
            self._journal.trouble("ipmi", f"ipmitool: {self._failure}")
            return
        self._last = (watts * UJ_PER_J, self._steady_ns())
        self._journal.over("ipmi", "ipmitool answers again")

    def _answer(self) -> int:
        done = subprocess.run(
            COMMAND,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=self._limit_s,
            check=False,
        )
        text = done.stdout.decode("ascii", "replace")
        if done.returncode:
            told = done.stderr.decode("ascii", "replace").strip() or text.strip()
            raise ValueError(f"status {done.returncode}: {' '.join(told.split())[:120]}")
        return power_w(text)
