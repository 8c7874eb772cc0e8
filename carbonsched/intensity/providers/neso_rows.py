"""The rows of NESO's national and regional answers."""

from __future__ import annotations

from typing import Any, Literal

from carbonsched.errors import (
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.providers.rows import mg_or_none
from carbonsched.intensity.values import parse_instant
from carbonsched.model.intensity import Point

_LONGEST_PERIOD_S = 86_400


def of_region(document: Any, region: int | None) -> Any:
    """A region's answer in the shape of the nation's.

    The service documents a list of regions and sends one as an object; both are read. ``region``
    is the number that the answer must be of, ``None`` where a postcode was asked for.

    Raises:
        ProviderRefusedError: the service knows no such place: it answers with nothing.
        ProviderMalformedError: not the documented shape, or another region.
    """
    if document == {}:
        raise ProviderRefusedError("neso: knows no such place: correct region or postcode")
    found = document.get("data") if isinstance(document, dict) else None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        return document  # an error, nothing at all, or to be refused like a wrong national answer
    told = found.get("regionid")
    if region is not None and told is not None and told != region:
        raise ProviderMalformedError(f"neso: answered for another region than {region}")
    return found


def read_rows(document: Any, column: Literal["actual", "forecast"]) -> tuple[list[Point], int]:
    """The periods of an answer that have a value, as they came, and how many rows were faulty.

    A null ``actual`` is the service's word for "not yet" and no fault; zeros, negative and
    implausible values are, and are missing.

    Raises:
        ProviderRefusedError, ProviderUnavailableError: an ``error`` object, whatever the status.
        ProviderMalformedError: not the documented shape.
    """
    points = []
    faulty = 0
    for row in _rows(document):
        try:
            start_at, end_at = parse_instant(row["from"]), parse_instant(row["to"])
            value = row["intensity"][column]
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ProviderMalformedError(
                "neso: a row is not {from, to, intensity}: the service has changed"
            ) from None
        if value is None:
            faulty += column == "forecast"
            continue
        mg_per_kwh = mg_or_none(value)
        if mg_per_kwh is None or not 0 < end_at - start_at <= _LONGEST_PERIOD_S:
            faulty += 1
            continue
        points.append(Point(start_at, end_at, mg_per_kwh))
    return points, faulty


def _rows(document: Any) -> list[Any]:
    if isinstance(document, dict) and "error" in document:
        raise _told_error(document["error"])
    rows = document.get("data") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise ProviderMalformedError("neso: the answer has no list 'data'")
    return rows


def _told_error(told: Any) -> Exception:
    code = str(told.get("code", "")) if isinstance(told, dict) else ""
    if code.startswith("4"):
        return ProviderRefusedError(f"neso: refuses the request ({ascii(code[:40])[1:-1]})")
    return ProviderUnavailableError(f"neso: answers with an error ({ascii(code[:40])[1:-1]})")
