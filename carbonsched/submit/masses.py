"""Masses as owners write them, with nothing loaded that a submission would wait for."""

from __future__ import annotations

import re

_UNITS_MG = {"mg": 1, "g": 10**3, "kg": 10**6, "t": 10**9}
_MASS = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?\s*(mg|g|kg|t)")


def parse_mass_mg(text: str) -> int:
    """Milligrams of ``100g``, ``1.5 kg``, ``300mg``: more than nothing, and whole.

    Raises:
        ValueError: anything else, with the remedy.
    """
    match = _MASS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a mass; write for instance 100g, 1.5kg or 300mg")
    whole, fraction, unit = match[1], match[2] or "", match[3]
    parts: int = 10 ** len(fraction)
    mg, rest = divmod(int(whole + fraction) * _UNITS_MG[unit], parts)
    if rest:
        raise ValueError(f"{text!r} is not a whole number of milligrams")
    if mg == 0:
        raise ValueError(f"{text!r} is nothing; write for instance 100g")
    return mg
