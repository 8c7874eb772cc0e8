"""Numbers and instants as providers write them, read exactly or refused."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from carbonsched.units import MG_PER_G

MAX_G_PER_KWH = 5000
"""No grid emits as much; a number above it is in another unit (lb/MWh, mg/kWh)."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{0,15})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_EPOCH = re.compile(r"[0-9]{9,11}", re.ASCII)
_ABSENT = frozenset({"", "null", "none", "nan", "na", "n/a", "-"})
_SMALLEST = -12  # powers of ten: a smaller number is nothing
_MAX_DIGITS = 60


def parse_instant(text: str) -> int:
    """Epoch seconds from ``2021-07-01T00:00Z``, any ISO time with an offset, or epoch seconds.

    Raises:
        ValueError: says what is wrong, such as a time without a zone.
    """
    text = text.strip()
    if _EPOCH.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{_shown(text)} is not a time such as 2021-07-01T00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{_shown(text)} has no time zone: write UTC with a final Z")
    seconds = moment.timestamp()
    if moment.microsecond or seconds < 0:
        raise ValueError(f"{_shown(text)} is not a whole second since 1970")
    return int(seconds)


def mg_from_text(text: str) -> int | None:
    """Whole mg/kWh from grams per kWh in text, rounded half to even.

    ``None`` where the cell is empty, says null, or is zero: a whole grid at zero is a fault of the
    data unless proven otherwise, and missing is never zero.

    Raises:
        ValueError: not a number, negative, or too large to be g/kWh.
    """
    text = text.strip()
    if text.lower() in _ABSENT:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not a number")
    return mg_from_number(Decimal(text))


def mg_from_number(value: Decimal | int, *, zero: bool = False) -> int | None:
    """As :func:`mg_from_text`, from an exact number of grams per kWh.

    With ``zero`` the caller has proof that zero would be true: then it is a value.
    """
    exact = Decimal(value)
    nothing = 0 if zero else None
    if not exact.is_finite():
        return None
    if not exact or exact.adjusted() < _SMALLEST:
        return nothing
    if exact < 0:
        raise ValueError(f"{_shown(str(value))} g/kWh is negative")
    if exact > MAX_G_PER_KWH:
        raise ValueError(f"{_shown(str(value))} g/kWh is more than any grid emits: is it g/kWh?")
    if len(exact.as_tuple().digits) > _MAX_DIGITS:
        raise ValueError(f"{_shown(str(value))} has too many digits")
    return round(Fraction(exact) * MG_PER_G) or nothing


def _shown(text: str) -> str:
    """Somebody else's text, safe and short for one line."""
    return ascii(text if len(text) <= 40 else text[:37] + "...")
