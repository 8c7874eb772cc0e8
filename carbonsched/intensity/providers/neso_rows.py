"""The rows of NESO's national and regional answers."""

from __future__ import annotations

from decimal import Decimal
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
_CLEAN = frozenset({"hydro", "nuclear", "solar", "wind"})
"""What the service gives no emissions; all else has some, imports too."""
_TRACE_PCT = Decimal("0.1")
_ALL_PCT = (99, 101)


def of_region(document: Any, region: int | None) -> Any:
    """A region's answer in the shape of the nation's.

    The service documents a list of regions and sends one as an object; both are read. ``region``
    is the number that the answer must be of, ``None`` where a postcode was asked for.

    Raises:
        ProviderRefusedError: the service knows no such place: it answers with nothing.
        ProviderMalformedError: not the documented shape, or another region.
    """
    if document == {} or (isinstance(document, dict) and document.get("data") in ([], {})):
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
    implausible values are, and are missing. A zero is true where the row's own mix proves it.

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
        mg_per_kwh = mg_or_none(value, zero=_is_clean(row.get("generationmix")))
        if mg_per_kwh is None or not 0 < end_at - start_at <= _LONGEST_PERIOD_S:
            faulty += 1
            continue
        points.append(Point(start_at, end_at, mg_per_kwh))
    return points, faulty


def _is_clean(mix: Any) -> bool:
    """Whether a region's mix is all there and nothing in it emits.

    Shares are told to a tenth of a per cent, and intensities to a gram: each fuel that emits may
    have ``_TRACE_PCT``, and the shares must add up but for their rounding.
    """
    try:
        shares = [(part["fuel"], part["perc"]) for part in mix]
    except (KeyError, TypeError):
        return False
    if any(isinstance(pct, bool) or not isinstance(pct, int | Decimal) for _, pct in shares):
        return False
    traces = all(0 <= pct <= _TRACE_PCT for fuel, pct in shares if fuel not in _CLEAN)
    return traces and _ALL_PCT[0] <= sum(pct for _, pct in shares) <= _ALL_PCT[1]


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
