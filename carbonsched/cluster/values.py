"""Slurm's ways to write a number, a time, a state, a time limit, a list of tasks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

NO_VALUES = frozenset({0xFFFE, 0xFFFFFFFE, 0xFFFFFFFFFFFFFFFE})  # NO_VAL16, NO_VAL, NO_VAL64
INFINITES = frozenset({0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
# slurmctld writes a year for a running job without limit, for it must have an end time.
UNLIMITED_S = 365 * 86_400
_LIMIT = re.compile(r"(?:([0-9]+)-)?([0-9]+)(?::([0-9]+))?(?::([0-9]+))?")
_WHOLE = re.compile(r"[0-9]+")
_TRES = re.compile(r"(?:^|,)(cpu|node)=([0-9]+)([KMG]?)")
# Among several states at once, the one that says most about holding resources.
_TELLING = ("COMPLETING", "CONFIGURING", "STAGE_OUT", "SIGNALING", "REQUEUE_HOLD", "SPECIAL_EXIT")


def number(value: Any) -> int | None:
    """The one decoder of JSON numbers: ``7`` or ``{"set", "infinite", "number"}``.

    ``None`` where Slurm says unset, infinite or one of its NO_VALs.
    """
    if isinstance(value, dict):
        if value.get("infinite") or not value.get("set"):
            return None
        value = value.get("number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    whole = int(value)
    return None if whole in NO_VALUES or whole in INFINITES else whole


def whole(text: str) -> int | None:
    """A whole number in delimited output; ``None`` for empty, ``N/A``, ``Unknown``, ``0n``."""
    bare = text.strip()
    return int(bare) if _WHOLE.fullmatch(bare) else None


def instant_at(text: str) -> int | None:
    """An epoch second, or an ISO time in UTC where a version ignores ``SLURM_TIME_FORMAT``."""
    epoch = whole(text)
    if epoch is not None:
        return epoch or None
    try:
        return int(datetime.fromisoformat(text.strip()).replace(tzinfo=UTC).timestamp()) or None
    except ValueError:
        return None


def state(value: Any) -> str:
    """The base state of ``"RUNNING"``, ``["RUNNING", "COMPLETING"]`` or ``"CANCELLED by 7"``."""
    words = value if isinstance(value, list) else [value]
    names = [str(word).split()[0].rstrip("+").upper() for word in words if str(word).strip()]
    for telling in _TELLING:
        if telling in names:
            return telling
    return (names and names[0]) or "UNKNOWN"


def limit_s(text: str) -> int | None:
    """Seconds of ``5:00``, ``1-00:00:00``; ``None`` for UNLIMITED, Partition_Limit and the like."""
    found = _LIMIT.fullmatch(text.strip())
    if not found:
        return None
    days, *parts = found.groups()
    given = [int(part) for part in parts if part is not None]
    if days is not None:  # days-hours[:minutes[:seconds]]
        hours, minutes, seconds = [*given, 0, 0][:3]
    elif len(given) == 3:
        hours, minutes, seconds = given
    else:  # minutes[:seconds]
        hours, (minutes, seconds) = 0, [*given, 0][:2]
    return bounded_limit_s(int(days or 0) * 86_400 + hours * 3600 + minutes * 60 + seconds)


def limit_of_minutes_s(minutes: int | None) -> int | None:
    """Seconds of a limit in minutes, as JSON and ``TimelimitRaw`` have it."""
    return None if minutes is None else bounded_limit_s(minutes * 60)


def bounded_limit_s(seconds: int) -> int | None:
    """``None`` for no limit, and for the year that Slurm writes in its place."""
    return seconds if 0 < seconds < UNLIMITED_S else None


def count_tasks(tasks: str) -> int:
    """How many tasks ``1-10%2,12`` or ``[0-6:2]`` names; at least 1."""
    count = 0
    for part in tasks.strip("[]").split(","):
        span, _, step = part.partition("%")[0].partition(":")
        first, dash, last = span.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            continue
        stride = int(step) if step.isdecimal() and int(step) else 1
        count += (int(last) - int(first)) // stride + 1 if dash and int(last) >= int(first) else 1
    return max(count, 1)


def tres(text: str) -> dict[str, int]:
    """``cpu`` and ``node`` of a TRES string such as ``cpu=12,mem=4000M,node=2``."""
    scale = {"": 1, "K": 1000, "M": 1000_000, "G": 1000_000_000}
    return {name: int(count) * scale[unit] for name, count, unit in _TRES.findall(text)}
