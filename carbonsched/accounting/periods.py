"""Calendar months of the site's time zone, half-open and without gap or overlap."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from carbonsched.errors import RequestError
from carbonsched.model.quota import Period

_NAME = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_FIRST_YEAR, _LAST_YEAR = 1971, 9998


def period(name: str, time_zone: str) -> Period:
    """The month called ``YYYY-MM`` in an IANA time zone.

    A month ends in the instant in which the next begins, whatever summer time does to either
    midnight.

    Raises:
        RequestError: not a month, or not a time zone.
    """
    match = _NAME.fullmatch(name)
    if match is None or not _FIRST_YEAR <= int(match[1]) <= _LAST_YEAR:
        raise RequestError(f"{name!r} is not a month; write it as 2026-11")
    year, month = int(match[1]), int(match[2])
    zone = _zone(time_zone)
    after = (year + 1, 1) if month == 12 else (year, month + 1)
    return Period(
        name=name, start_at=_first_instant(year, month, zone), end_at=_first_instant(*after, zone)
    )


def current_period(at: int, time_zone: str) -> Period:
    """The month that holds the instant."""
    local = datetime.fromtimestamp(at, _zone(time_zone))
    return period(f"{local:%Y-%m}", time_zone)


def periods_between(start_at: int, end_at: int, time_zone: str) -> tuple[Period, ...]:
    """The months that ``[start_at, end_at)`` touches, in order; none where it is empty."""
    if end_at <= start_at:
        return ()
    months = [current_period(start_at, time_zone)]
    while months[-1].end_at < end_at:
        months.append(current_period(months[-1].end_at, time_zone))
    return tuple(months)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RequestError(
            f"{name!r} is not a time zone; use an IANA name such as Europe/Copenhagen"
        ) from None


def _first_instant(year: int, month: int, zone: ZoneInfo) -> int:
    """The first instant whose local date is the first of the month.

    Midnight may occur twice (the first counts) or not at all (the clock's jump is the instant,
    which is what ``fold=0`` gives by reckoning with the offset before the jump).
    """
    return int(datetime(year, month, 1, tzinfo=zone, fold=0).timestamp())
