"""Constants and conversions.

Suffixes name units everywhere: ``_s`` seconds, ``_w`` watts, ``_j`` joules, ``_uj`` microjoules,
``_kwh``, ``_g`` grams, ``_mg`` milligrams of CO2 or CO2eq, ``_mg_per_kwh``. Storage holds whole
joules, milligrams and epoch seconds, so that sums are exact whatever their order.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import Protocol, Self, TypeVar


class _Sortable(Hashable, Protocol):
    def __lt__(self, other: Self, /) -> bool: ...


Key = TypeVar("Key", bound=_Sortable)

J_PER_KWH = 3_600_000
UJ_PER_J = 1_000_000
MG_PER_G = 1000
NS_PER_S = 1_000_000_000
PPM = 1_000_000
_NEXT_UNIT = 999.5  # what would be rounded to 1000 is written in the next unit


def emissions_mg(energy_j: int, pue_ppm: int, intensity_mg_per_kwh: int) -> Fraction:
    """Exact milligrams emitted for energy at the meter.

    m = E x PUE x I, with E in kWh (The Green Grid's PUE multiplies IT energy up to the whole
    facility's; Lannelongue et al. 2021, eq. 1). Rounding is left to the one place that posts.
    """
    return Fraction(energy_j * pue_ppm * intensity_mg_per_kwh, J_PER_KWH * PPM)


def to_mg(exact: Fraction) -> int:
    """Round exact milligrams half to even: the only rounding between a reading and an entry."""
    return round(exact)


def ppm(ratio: float) -> int:
    """A ratio, such as a PUE of 1.25, in whole parts per million."""
    return round(ratio * PPM)


def format_mass(mg: int | None) -> str:
    """Milligrams as a person reads them: ``83 mg``, ``1.24 g``, ``3.50 kg``, ``-`` for missing."""
    if mg is None:
        return "-"
    if abs(mg) < MG_PER_G:
        return f"{mg} mg"
    for divisor, unit in ((10**3, "g"), (10**6, "kg")):
        if abs(mg) / divisor < _NEXT_UNIT:
            return f"{_three(mg / divisor)} {unit}"
    return f"{_three(mg / 10**9)} t"


def format_energy(joules: int | None) -> str:
    """Joules as a person reads them: ``850 J`` below a watt-hour, then Wh, kWh, MWh, GWh."""
    if joules is None:
        return "-"
    if abs(joules) < 3600:
        return f"{joules} J"
    watt_hours = joules / 3600
    for divisor, unit in ((1, "Wh"), (10**3, "kWh"), (10**6, "MWh")):
        if abs(watt_hours) / divisor < _NEXT_UNIT:
            return f"{_three(watt_hours / divisor)} {unit}"
    return f"{_three(watt_hours / 10**9)} GWh"


def format_duration(seconds: float | None) -> str:
    """Seconds in Slurm's form: ``HH:MM:SS`` or ``D-HH:MM:SS``, ``-`` for missing."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    sign = "-" if whole < 0 else ""
    minutes, second = divmod(abs(whole), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{hour:02d}:{minute:02d}:{second:02d}"
    return f"{sign}{days}-{clock}" if days else f"{sign}{clock}"


def _three(value: float) -> str:
    """Three significant digits without an exponent, for values of 1 to 999."""
    size = abs(value)
    decimals = 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{value:.{decimals}f}"


def apportion(total: int, weights: Mapping[Key, int]) -> dict[Key, int]:
    """Divide a whole number by weights so that the shares add up to it exactly.

    Hamilton's method of largest remainders: whole units left over go to the largest remainders,
    equal ones to the smaller key, so the answer does not depend on the order of the weights. Some
    weight must be positive, none negative.
    """
    whole = sum(weights.values())
    if whole <= 0 or min(weights.values()) < 0:
        raise ValueError("weights must not be negative, nor all zero")
    if len(weights) == 1:
        return dict.fromkeys(weights, total)
    shares: dict[Key, int] = {}
    remainders: list[tuple[int, Key]] = []
    for key, weight in weights.items():
        share, remainder = divmod(total * weight, whole)
        shares[key] = share
        if remainder:
            remainders.append((-remainder, key))
    left = total - sum(shares.values())
    for _, key in sorted(remainders)[:left]:
        shares[key] += 1
    return shares
