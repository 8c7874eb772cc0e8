"""Instants as people write and read them, with Slurm's habits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from carbonsched.errors import RequestError

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SOON_S = 10 * _MINUTE
_WEEK_S = 6 * _DAY
_UNITS_S = {"second": 1, "minute": _MINUTE, "hour": _HOUR, "day": _DAY, "week": 7 * _DAY}
_RELATIVE = re.compile(r"now(?:([+-])(\d{1,9})(second|minute|hour|day|week)?s?)?")
_DATED = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d))?)?")
_MONTH_FIRST = re.compile(r"(\d{1,2})[/.](\d{1,2})(?:[/.](\d\d))?(?:-(\d\d):(\d\d)(?::(\d\d))?)?")
_WRITTEN = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\b")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))? ?([AaPp][Mm])?")


def zone_named(name: str) -> tzinfo:
    """The zone, or UTC where this machine has no data for it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def local(at: int, zone: tzinfo | None = None) -> datetime:
    """The instant in a zone, this machine's unless one is given."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone(zone)


def stamp(at: int | None, zone: tzinfo | None = None) -> str:
    """The instant as Slurm prints it, ``2026-11-20T14:30:00``; empty for missing."""
    return "" if at is None else local(at, zone).strftime("%Y-%m-%dT%H:%M:%S")


def when(at: int | None, now: int) -> str:
    """The instant as short as it is clear beside now: ``14:30``, ``Fri 02:00``, ``12-01 00:00``."""
    if at is None:
        return "-"
    moment, today = local(at), local(now)
    if moment.date() == today.date():
        return moment.strftime("%H:%M:%S" if abs(at - now) < _SOON_S else "%H:%M")
    if abs(at - now) < _WEEK_S:
        return moment.strftime("%a %H:%M")
    return moment.strftime("%m-%d %H:%M" if moment.year == today.year else "%Y-%m-%d")


def localised(text: str, now: int) -> str:
    """A text of the daemon's with its instants, written out in UTC there, as :func:`when` has them.

    What is no instant stays as it is.
    """

    def here(found: re.Match[str]) -> str:
        try:
            at = datetime.strptime(found[0], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        except ValueError:
            return found[0]
        return when(int(at.timestamp()), now)

    return _WRITTEN.sub(here, text)


def span(seconds: int) -> str:
    """A length in its two largest units: ``40s``, ``45m``, ``6h12m``, ``2d4h``."""
    size = abs(seconds)
    if size < _MINUTE:
        return f"{size}s"
    for larger, smaller, names in ((_DAY, _HOUR, "dh"), (_HOUR, _MINUTE, "hm")):
        if size >= larger:
            rest = size % larger // smaller
            return f"{size // larger}{names[0]}" + (f"{rest}{names[1]}" if rest else "")
    return f"{size // _MINUTE}m"


def parse_time(text: str, now: int) -> int:
    """An instant in this machine's zone as ``sacct -S`` takes it.

    ``YYYY-MM-DD[THH:MM[:SS]]``, ``MM/DD[/YY][-HH:MM]``, ``HH:MM[:SS] [AM|PM]``, ``now``,
    ``now-3hours``, ``today``, ``midnight``, ``noon``.

    Raises:
        RequestError: it is none of these.
    """
    word = text.strip()
    today = local(now).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    try:
        moment = _wall_clock(word, today)
        if moment is not None:
            return int(moment.astimezone().timestamp())
        relative = _RELATIVE.fullmatch(word.lower())
        if relative:
            return now + _shift(relative)
    except (ValueError, OverflowError, OSError):
        pass
    raise RequestError(f"{text!r} is not a time; write 2026-11-20, 2026-11-20T14:30 or now-3hours")


def _wall_clock(word: str, today: datetime) -> datetime | None:
    if word.lower() in {"today", "midnight"}:
        return today
    if word.lower() == "noon":
        return today.replace(hour=12)
    if dated := _DATED.fullmatch(word):
        year, month, day, hour, minute, second = (int(one or 0) for one in dated.groups())
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - wall clock
    if given := _MONTH_FIRST.fullmatch(word):
        month, day, short_year, hour, minute, second = (int(one or 0) for one in given.groups())
        year = 2000 + short_year if given[3] else today.year
        return today.replace(
            year=year, month=month, day=day, hour=hour, minute=minute, second=second
        )
    if clock_only := _CLOCK.fullmatch(word):
        hour, minute, second = (int(one or 0) for one in clock_only.groups()[:3])
        return today.replace(hour=_hour(hour, clock_only[4]), minute=minute, second=second)
    return None


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("an hour with AM or PM lies between 1 and 12")
    return hour % 12 + (12 if half.lower() == "pm" else 0)


def _shift(relative: re.Match[str]) -> int:
    sign, count, unit = relative.groups()
    if sign is None:
        return 0
    length = timedelta(seconds=int(count) * _UNITS_S[unit or "second"])
    return int(length.total_seconds()) * (-1 if sign == "-" else 1)
