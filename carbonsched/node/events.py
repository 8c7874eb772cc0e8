"""What prolog and epilog left in the spool: one small file for each begin and end of a job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from carbonsched.model.hostlist import expand
from carbonsched.node.journal import Journal
from carbonsched.units import NS_PER_S

TORN_AFTER_NS = 10 * NS_PER_S
AHEAD_NS = 2 * NS_PER_S
MAX_BYTES = 65_536
_NAME = re.compile(r"(begin|end)\.([0-9]{1,10})\.([0-9]{1,6})\.([0-9]{1,10})")
_COUNT = re.compile(r"([0-9]{1,6})(?:\(x([0-9]{1,6})\))?")
_NUMBER = re.compile(r"[0-9]{1,10}")


class EventKind(StrEnum):
    """What happened; in the order in which two of the same instant are taken."""

    BEGIN = "begin"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A job's begin or end on this node; ``cpus`` are those it was given here, if known."""

    name: str
    kind: EventKind
    at_ns: int
    job_id: int
    restarts: int
    uid: int | None
    cpus: int | None


class Inbox:
    """The folder ``events``; what cannot be an event goes to ``rejected``."""

    def __init__(self, spool: Path, node: str, journal: Journal) -> None:
        self._folder = spool / "events"
        self._rejected = spool / "rejected"
        self._node = node
        self._journal = journal

    def read(self, now_ns: int, handled: frozenset[str] | set[str] = frozenset()) -> list[Event]:
        """Complete events up to now in order of time, without those that were handled before.

        A file dated within two seconds after now waits for the next call; one dated later, which
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
            at_ns = path.stat().st_mtime_ns
            if now_ns < at_ns <= now_ns + AHEAD_NS:
                return []
            with path.open("rb") as file:
                text = file.read(MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            return []  # gone, or not readable just now: the next call tries again
        event = parse_event(path.name, text, min(at_ns, now_ns), self._node)
        if event is None and abs(now_ns - at_ns) > TORN_AFTER_NS:
            self._reject(path)
        return [] if event is None else [event]

    def _reject(self, path: Path) -> None:
        self._journal.say(f"{path.name!r} in {self._folder} is not a whole event: put aside")
        with suppress(OSError):
            path.replace(self._rejected / path.name)


def parse_event(name: str, text: str, at_ns: int, node: str) -> Event | None:
    """The event in a file, or ``None`` if its name is none or its last line is not ``end``."""
    match = _NAME.fullmatch(name)
    lines = text.split("\n")
    if match is None or lines[-2:] != ["end", ""]:
        return None
    values = dict(line.split("=", 1) for line in lines[:-2] if "=" in line)
    uid = values.get("uid", "")
    return Event(
        name=name,
        kind=EventKind(match[1]),
        at_ns=at_ns,
        job_id=int(match[2]),
        restarts=int(match[3]),
        uid=int(uid) if _NUMBER.fullmatch(uid) else None,
        cpus=cpus_here(values.get("nodelist", ""), values.get("cpus_per_node", ""), node),
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
