"""What prolog and epilog left in the spool: one small file for each begin and end of a job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from carbonsched.model.hostlist import expand
from carbonsched.node.clock import Clock
from carbonsched.node.journal import Journal
from carbonsched.node.presence.sluids import SLUID_PATTERN
from carbonsched.units import NS_PER_S

TORN_AFTER_NS = 10 * NS_PER_S
AHEAD_NS = 2 * NS_PER_S
MAX_BYTES = 65_536
PROMPT_NS = 50_000_000
"""A file written so soon after its hook's begin, which the uptime in it tells, was not late."""
_NAME = re.compile(r"(begin|end)\.([0-9]{1,10})\.([0-9]{1,6})\.([0-9]{1,10})")
_COUNT = re.compile(r"([0-9]{1,6})(?:\(x([0-9]{1,6})\))?")
_NUMBER = re.compile(r"[0-9]{1,10}")
_UPTIME = re.compile(r"[0-9]{1,10}\.[0-9]{1,9}")
_SLUID = re.compile(SLUID_PATTERN)


class EventKind(StrEnum):
    """What happened; in the order in which two of the same instant are taken."""

    BEGIN = "begin"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A job's begin or end on this node; ``cpus`` are those it was given here, if known.

    ``gpus`` is SLURM_JOB_GPUS as the hook saw it and ``visible`` the vendor's variable, both empty
    for a job without. ``sluid`` is Slurm's other name of the job, empty before 25.11.
    ``uptime_ns`` is how long the machine with that ``boot_id`` had been up when the hook began.
    """

    name: str
    kind: EventKind
    at_ns: int
    job_id: int
    restarts: int
    uid: int | None
    cpus: int | None
    gpus: str = ""
    visible: str = ""
    sluid: str = ""
    uptime_ns: int | None = None
    boot_id: str = ""


class Inbox:
    """The folder ``events``; what cannot be an event goes to ``rejected``.

    With a ``clock`` an event's time is that of the hook's begin also where its file was written
    late or the clock was set since; without one it is the file's modification time.
    """

    def __init__(
        self, spool: Path, node: str, journal: Journal, clock: Clock | None = None
    ) -> None:
        self._folder = spool / "events"
        self._rejected = spool / "rejected"
        self._node = node
        self._journal = journal
        self._clock = clock

    def read(self, now_ns: int, handled: frozenset[str] | set[str] = frozenset()) -> list[Event]:
        """Complete events up to now in order of time, without those that were handled before.

        An event of within two seconds after now waits for the next call; one of later, which
        happens when the clock was set back, counts at once.
        """
        try:
            paths = [path for path in self._folder.iterdir() if path.name not in handled]
        except OSError as error:
            self._journal.trouble("events", f"cannot read prolog's and epilog's events: {error}")
            return []
        events = [event for path in paths for event in self._event(path, now_ns)]
        return sorted(events, key=lambda one: (one.at_ns, one.kind, one.name))

    def forget(self, names: Iterable[str]) -> None:
        """Remove events whose effect is on disk."""
        for name in names:
            with suppress(OSError):
                (self._folder / name).unlink()

    def left(self, names: Iterable[str]) -> set[str]:
        """Those of the names that are still in the folder."""
        return {name for name in names if (self._folder / name).exists()}

    def _event(self, path: Path, now_ns: int) -> list[Event]:
        try:
            written_ns = path.stat().st_mtime_ns
            with path.open("rb") as file:
                text = file.read(MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            return []  # gone, or not readable just now: the next call tries again
        event = parse_event(path.name, text, written_ns, self._node)
        if event is None:
            if abs(now_ns - written_ns) > TORN_AFTER_NS:
                self._reject(path)
            return []
        if self._of_an_earlier_boot(event, now_ns):
            self._journal.say(f"{path.name}: of before the machine booted, so no longer true")
            self.forget([path.name])
            return []
        at_ns = self._begun_ns(event, now_ns)
        if now_ns < at_ns <= now_ns + AHEAD_NS:
            return []
        return [replace(event, at_ns=min(at_ns, now_ns))]

    def _begun_ns(self, event: Event, now_ns: int) -> int:
        """When the hook began, by today's wall clock.

        The file's own time is exact, but it is that of the writing, by the clock of then. Uptime
        has hundredths of a second and cannot be set.
        """
        written_ns = event.at_ns
        if self._clock is None or event.uptime_ns is None or event.boot_id != self._clock.boot_id:
            return written_ns
        at_ns = now_ns - self._clock.steady_ns() + event.uptime_ns
        return written_ns if abs(written_ns - at_ns) <= PROMPT_NS else at_ns

    def _of_an_earlier_boot(self, event: Event, now_ns: int) -> bool:
        """Both must say so: a clock may be wrong, and boots have other names in a test's /proc."""
        if self._clock is None or event.boot_id in ("", self._clock.boot_id):
            return False
        return event.at_ns < now_ns - self._clock.steady_ns()

    def _reject(self, path: Path) -> None:
        self._journal.say(f"{path.name!r} in {self._folder} is not a whole event: put aside")
        with suppress(OSError):
            path.replace(self._rejected / path.name)


def parse_event(name: str, text: str, at_ns: int, node: str) -> Event | None:
    """The event in a file, or ``None`` if its name is none or its last line is not ``end``.

    ``at_ns`` is when the file was written.
    """
    match = _NAME.fullmatch(name)
    lines = text.split("\n")
    if match is None or lines[-2:] != ["end", ""]:
        return None
    values = dict(line.split("=", 1) for line in lines[:-2] if "=" in line)
    uid, uptime = values.get("uid", ""), values.get("uptime", "")
    sluid = values.get("sluid", "")
    return Event(
        name=name,
        kind=EventKind(match[1]),
        at_ns=at_ns,
        job_id=int(match[2]),
        restarts=int(match[3]),
        uid=int(uid) if _NUMBER.fullmatch(uid) else None,
        cpus=cpus_here(values.get("nodelist", ""), values.get("cpus_per_node", ""), node),
        gpus=values.get("gpus", ""),
        visible=values.get("visible", ""),
        sluid=sluid if _SLUID.fullmatch(sluid) else "",
        uptime_ns=int(Fraction(uptime) * NS_PER_S) if _UPTIME.fullmatch(uptime) else None,
        boot_id=values.get("boot", ""),
    )


def cpus_here(nodelist: str, cpus_per_node: str, node: str) -> int | None:
    """A job's CPUs on one of its nodes: ``2(x3),4`` counts along the node list.

    ``None`` where the node is not in the list or the two do not go together.
    """
    try:
        place = expand(nodelist).index(node)
    except ValueError:
        return None
    for word in cpus_per_node.split(","):
        match = _COUNT.fullmatch(word)
        if match is None:
            return None
        place -= int(match[2] or 1)
        if place < 0:
            return int(match[1]) or None
    return None
