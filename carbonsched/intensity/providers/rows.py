"""What the adapters do with the rows of an answer, whoever gave them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from carbonsched.intensity.periods import without_contradictions
from carbonsched.intensity.values import mg_from_number
from carbonsched.model.intensity import Point

_log = logging.getLogger(__name__)


def mg_or_none(value: Any, *, zero: bool = False) -> int | None:
    """Whole mg/kWh from a JSON number of g/kWh.

    ``None`` for all that is no intensity of a whole grid: null, text, zero, negative, implausible.
    With ``zero`` there is proof that a zero is true.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        return mg_from_number(value, zero=zero)
    except ValueError:
        return None


def known(points: Iterable[Point], start_at: int, end_at: int, now: int) -> list[Point]:
    """The points that touch ``[start_at, end_at)`` and are over."""
    return [
        point
        for point in points
        if point.end_at > start_at and point.start_at < end_at and point.end_at <= now
    ]


def clean(name: str, points: Iterable[Point]) -> tuple[Point, ...]:
    """The points in order, equal ones once, contradicting ones left out and told in the log."""
    kept, contested = without_contradictions(points)
    if contested:
        _log.warning("%s: %d rows contradict each other: taken as missing", name, contested)
    return kept


def left_out(name: str, rows: int, what: str) -> None:
    """Tell the log of rows without a usable value."""
    if rows:
        _log.warning("%s: %d rows without a usable %s value", name, rows, what)


def spans(start_at: int, end_at: int, *, step_s: int, most_s: int) -> Iterator[tuple[int, int]]:
    """``[start_at, end_at)`` widened to whole steps, in spans short enough for one request."""
    from_at = start_at - start_at % step_s if start_at < end_at else end_at
    while from_at < end_at:
        to_at = min(from_at + most_s, end_at + -end_at % step_s)
        yield from_at, to_at
        from_at = to_at


def written(at: int, zone: str = "Z") -> str:
    """``2026-11-20T18:00Z``, UTC; ``zone`` is what stands at the end."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M") + zone
