"""A PUE as others write it, read exactly or refused."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

from carbonsched.model.pue import HIGHEST_PPM, LOWEST_PPM
from carbonsched.units import PPM

_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "-"})


def pue_ppm(text: str) -> int | None:
    """Whole parts per million of ``1.23``, rounded half to even; ``None`` where it says missing.

    Raises:
        ValueError: not a number, or not from 1 to 3.
    """
    written = text.strip()
    if written.lower() in _MISSING:
        return None
    shown = ascii(written if len(written) <= 40 else written[:37] + "...")
    if not _NUMBER.fullmatch(written):
        raise ValueError(f"{shown} is not a PUE from 1 to 3")
    number = Decimal(written)
    # Bounds before the fraction is made: 1e999 would have a thousand digits.
    if not Decimal(LOWEST_PPM) <= number * PPM <= Decimal(HIGHEST_PPM):
        raise ValueError(f"{shown} is not a PUE from 1 to 3")
    return round(Fraction(number) * PPM)
