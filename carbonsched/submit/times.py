"""Lengths and instants as people write them in csbatch's options."""

from __future__ import annotations

import re
import time

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,6})?(?:s|min|h|d))+")
_PIECE = re.compile(r"([0-9.]+)(s|min|h|d)")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)


def parse_length_s(text: str) -> int:
    """Whole seconds of ``6h``, ``90min``, ``1d12h``, ``1.5h`` or ``0``.

    Raises:
        ValueError: it is not a length; the message says how one is written.
    """
    if text == "0":
        return 0
    if not _LENGTH.fullmatch(text):
        raise ValueError(f"{text!r} is not a length of time; write one such as 90min, 6h or 1d12h")
    pieces: list[tuple[str, str]] = _PIECE.findall(text)
    return round(sum(float(number) * _UNITS[unit] for number, unit in pieces))


def parse_instant_at(text: str, now: int) -> int:
    """The epoch second of ``now+8h``, ``07:30`` (its next occurrence) or ``2026-11-22T07:30``.

    Clock times are local, by this process's time zone; an offset or ``Z`` may follow a date's time.

    Raises:
        ValueError: it is not such a time.
    """
    if text.startswith("now+"):
        return now + parse_length_s(text.removeprefix("now+"))
    if clock := _CLOCK.fullmatch(text):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        return _next_occurrence_at(hour, minute, second, now)
    if not _MOMENT.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a time; write one such as 2026-11-22T07:30, 07:30 or now+8h"
        )
    from datetime import datetime  # noqa: PLC0415 - most submissions name no date

    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None


def _next_occurrence_at(hour: int, minute: int, second: int, now: int) -> int:
    """The first local ``hour:minute:second`` after now; mktime knows the zone's clock changes."""
    today = time.localtime(now)
    day = (today.tm_year, today.tm_mon, today.tm_mday)
    for ahead in (0, 1, 2):
        parts = (day[0], day[1], day[2] + ahead, hour, minute, second, 0, 0, -1)
        if (at := int(time.mktime(parts))) > now:
            return at
    raise AssertionError("a clock time comes round within two days")
