"""From rows of a JSON answer to points, where rows are read one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from carbonsched.errors import ProviderMalformedError
from carbonsched.intensity.providers.rows import mg_or_none
from carbonsched.intensity.values import parse_instant
from carbonsched.model.intensity import Point

LB_PER_MWH = Decimal("0.45359237")
"""Grams per kWh in one pound per MWh: the pound avoirdupois is 0.45359237 kg by definition."""

_LONGEST_PERIOD_S = 86_400
_EXACT = Context(prec=100, traps=[])  # what does not fit becomes infinite, which is no number
_log = logging.getLogger(__name__)


def mg_from_pounds(value: Any, *, zero: bool = False) -> int | None:
    """As :func:`mg_or_none`, from pounds per MWh: multiplied exactly and rounded once."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return mg_or_none(_EXACT.multiply(Decimal(value), LB_PER_MWH), zero=zero)


def made(start_at: int, period_s: int, mg: int | None, *, estimated: bool = False) -> Point | None:
    """The point, or ``None`` where there is no value or the period cannot be."""
    if mg is None or not 0 < period_s <= _LONGEST_PERIOD_S:
        return None
    return Point(start_at, start_at + period_s, mg, estimated)


def read_points(
    name: str, rows: Iterable[Any], read: Callable[[Any], Point | None], shape: str
) -> list[Point]:
    """The points of the rows as they came; rows that ``read`` has no point for are counted.

    Raises:
        ProviderMalformedError: ``read`` found a row that is not of ``shape``.
    """
    points, missing = [], 0
    for row in rows:
        try:
            point = read(row)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
            raise ProviderMalformedError(
                f"{name}: a row is not {shape}: the service has changed"
            ) from None
        if point is None:
            missing += 1
        else:
            points.append(point)
    if missing:
        _log.warning("%s: %d rows without a usable value: taken as missing", name, missing)
    return points


def row_time(text: Any) -> int:
    """Epoch seconds of a row's time; ``ValueError`` where it is none or has no zone."""
    if not isinstance(text, str):
        raise ValueError("a row's time is no text")
    return parse_instant(text)


def moment(text: Any) -> int | None:
    """The whole second at or after an ISO time with a zone; ``None`` where it is no such thing."""
    try:
        told = datetime.fromisoformat(text)
        if told.tzinfo is None:
            return None
        return int(told.timestamp()) + bool(told.microsecond)
    except (TypeError, ValueError, OverflowError):
        return None


def issue_time(text: Any, now: int) -> int:
    """When a forecast was issued by its service's word, at the latest when it was fetched.

    It is when it was fetched, ``now``, where the service says nothing that can be read.
    """
    told = moment(text)
    return now if told is None or told <= 0 else min(told, now)


def updated_last(rows: Iterable[dict[str, Any]], time: str, updated: str) -> list[dict[str, Any]]:
    """Of the rows for the same time those that were updated last: they revise the others.

    ``time`` and ``updated`` are the names of the columns; a row without an update is the oldest.
    """
    kept: dict[str, tuple[int, list[dict[str, Any]]]] = {}
    for row in rows:
        at, updated_at = str(row.get(time)), moment(row.get(updated)) or 0
        latest_at, same = kept.get(at, (-1, []))
        if updated_at > latest_at:
            kept[at] = (updated_at, [row])
        elif updated_at == latest_at:
            same.append(row)
    return [row for _, same in kept.values() for row in same]
