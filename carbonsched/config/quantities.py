"""Quantities and names as the file writes them, each with an error that says the remedy."""

from __future__ import annotations

import difflib
import re
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator

from carbonsched.model.hostlist import expand
from carbonsched.units import MG_PER_G

DURATION_UNITS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86_400),
    "w": Fraction(604_800),
}
MASS_UNITS = {
    "mg": Fraction(1),
    "g": Fraction(MG_PER_G),
    "kg": Fraction(MG_PER_G * 1000),
    "t": Fraction(MG_PER_G * 1_000_000),
}
POWER_UNITS = {"W": Fraction(1), "kW": Fraction(1000)}
PERCENT_UNITS = {"%": Fraction(1)}
MEMORY_UNITS = {"MB": Fraction(1), "GB": Fraction(1024), "TB": Fraction(1024 * 1024)}
"""Megabytes as Slurm counts them, 2^20 bytes, which is also how memory modules are labelled."""
_YEAR_S = Fraction(31_557_600)
LIFETIME_UNITS = {"years": _YEAR_S, "year": _YEAR_S}
"""Years of 365.25 days."""

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_PLAIN = re.compile(_NUMBER)
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_PART = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z%]+)\s*")
_NAME = re.compile(r"[^\s\x00-\x1f:,]{1,255}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})", re.ASCII)
_LONGEST_S = 10 * 366 * 86_400


def parse_duration_s(text: str) -> Fraction:
    """Seconds of ``90s``, ``15min``, ``6h``, ``2d``, or parts in a row: ``1h 30min``.

    Raises:
        ValueError: with the remedy.
    """
    if _CLOCK.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is a time of day, not a length; write for instance 22h")
    seconds = _quantity(text, DURATION_UNITS, "a length of time", "6h", several=True)
    if seconds > _LONGEST_S:
        raise ValueError(f"{text!r} is longer than ten years")
    return seconds


def parse_mass_mg(text: str) -> int:
    """Milligrams of ``300 mg``, ``200 g``, ``50 kg``, ``1.5 t``.

    Raises:
        ValueError: with the remedy.
    """
    return _whole(_quantity(text, MASS_UNITS, "a mass", "50 kg"), text, "milligrams")


def parse_power_w(text: str) -> float:
    """Watts of ``95 W`` or ``1.2 kW``.

    Raises:
        ValueError: with the remedy.
    """
    return float(_quantity(text, POWER_UNITS, "a power", "95 W"))


def parse_percent(text: str) -> float:
    """Percent of ``2.5 %``.

    Raises:
        ValueError: with the remedy.
    """
    return float(_quantity(text, PERCENT_UNITS, "a share", "2 %"))


def parse_instant(text: str) -> datetime:
    """An ISO time with an offset, ``2021-07-05T00:00Z``.

    Raises:
        ValueError: with the remedy.
    """
    example = "2021-07-05T00:00Z"
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write for instance {example}") from None
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} says no offset from UTC; write for instance {example}")
    return instant


def parse_memory_mb(text: str) -> int:
    """Whole megabytes of ``256 GB``, ``1.5 TB``, ``512000 MB``.

    Raises:
        ValueError: with the remedy.
    """
    return _whole(_quantity(text, MEMORY_UNITS, "a size of memory", "256 GB"), text, "megabytes")


def parse_lifetime_s(text: str) -> int:
    """Whole seconds of ``6 years``.

    Raises:
        ValueError: with the remedy.
    """
    return _whole(_quantity(text, LIFETIME_UNITS, "a lifetime", "6 years"), text, "seconds")


def parse_date(text: str) -> date:
    """A day, ``2026-01-01``.

    Raises:
        ValueError: with the remedy.
    """
    example = "2026-01-01"
    if not _DATE.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a date; write for instance {example}")
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not in the calendar; write for instance {example}") from None


def suggestion(word: str, known: list[str]) -> str:
    """``; did you mean "period"?``, or the known words where none is near and they are few."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not near:
        lowered = {one.casefold(): one for one in known}
        near = [
            lowered[one]
            for one in difflib.get_close_matches(word.casefold(), list(lowered), n=1, cutoff=0.6)
        ]
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known: {', '.join(sorted(known))}" if 0 < len(known) <= 20 else ""


def _quantity(
    text: str, units: dict[str, Fraction], kind: str, example: str, *, several: bool = False
) -> Fraction:
    stripped = text.strip()
    if _PLAIN.fullmatch(stripped):
        choices = [f"{stripped}{'' if several else ' '}{unit}" for unit in units]
        remedy = choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
        raise ValueError(f"{text!r} has no unit; write {remedy}")
    if stripped.startswith("-"):
        raise ValueError(f"{text!r} is negative; write for instance {example}")
    parts = list(_PART.finditer(stripped))
    wrong = "".join(part.group(0) for part in parts) != stripped
    if wrong or not parts or (len(parts) > 1 and not several):
        raise ValueError(f"{text!r} is not {kind}; write for instance {example}")
    for part in parts:
        if part.group(2) not in units:
            raise ValueError(
                f"{text!r} has an unknown unit {part.group(2)!r}; the units are {', '.join(units)}"
            )
    return sum((Fraction(part.group(1)) * units[part.group(2)] for part in parts), Fraction(0))


def _whole(value: Fraction, text: str, unit: str) -> int:
    if value.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of {unit}")
    return int(value)


def _seconds(value: Any) -> Any:
    return float(parse_duration_s(value)) if isinstance(value, str) else value


def _whole_seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _whole(parse_duration_s(value), value, "seconds")


def _mass(value: Any) -> Any:
    return parse_mass_mg(value) if isinstance(value, str) else value


def _power(value: Any) -> Any:
    return parse_power_w(value) if isinstance(value, str) else value


def _percent(value: Any) -> Any:
    return parse_percent(value) if isinstance(value, str) else value


def _memory(value: Any) -> Any:
    return parse_memory_mb(value) if isinstance(value, str) else value


def _lifetime(value: Any) -> Any:
    return parse_lifetime_s(value) if isinstance(value, str) else value


def _date(value: Any) -> Any:
    return parse_date(value) if isinstance(value, str) else value


def _address(text: str) -> str:
    parts = _ADDRESS.fullmatch(text)
    if parts is None or not 0 < int(parts["port"]) < 65536:
        raise ValueError(f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:9797")
    return text


def _instant(value: Any) -> Any:
    return parse_instant(value) if isinstance(value, str) else value


def _time_zone(name: str) -> str:
    known = available_timezones()
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
        remedy = f'did you mean "{near[0]}"?' if near else "write for instance Europe/Berlin"
        raise ValueError(f"{name!r} is not a time zone; {remedy}")
    return name


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name: no spaces, commas or colons, not empty")
    return name


def _hosts(text: str) -> str:
    example = "write for instance n[1-4,7]"
    try:
        hosts = expand(text)
    except ValueError as error:
        raise ValueError(f"{error}; {example}") from None
    if not hosts:
        raise ValueError(f"names no node; {example}")
    return text


def _absolute(path: Path) -> Path:
    if not path.is_absolute() or "\0" in str(path):
        raise ValueError(f"{str(path)!r} is not an absolute path; begin it with /")
    return path


def _absolute_text(text: str) -> str:
    return str(_absolute(Path(text)))


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "http" or not parts.hostname or port is None or parts.path.strip("/"):
        raise ValueError(f"{text!r} is not the daemon's address; write http://HOST:PORT")
    return text.rstrip("/")


def _web(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{text!r} is not a web address; write for instance https://HOST")
    return text.rstrip("/")


def like(pattern: str, what: str, example: str) -> AfterValidator:
    """Texts that match a pattern as a whole; else the fault says what was meant."""
    form = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"{text!r} is not {what}; write for instance {example}")
        return text

    return AfterValidator(check)


Seconds = Annotated[float, BeforeValidator(_seconds)]
WholeSeconds = Annotated[int, BeforeValidator(_whole_seconds)]
Milligrams = Annotated[int, BeforeValidator(_mass)]
Watts = Annotated[float, BeforeValidator(_power)]
Percent = Annotated[float, BeforeValidator(_percent)]
Megabytes = Annotated[int, BeforeValidator(_memory)]
Lifetime = Annotated[int, BeforeValidator(_lifetime)]
Day = Annotated[date, BeforeValidator(_date)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
ListenAddress = Annotated[str, AfterValidator(_address)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Name = Annotated[str, AfterValidator(_name)]
HostList = Annotated[str, AfterValidator(_hosts)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
AbsolutePathText = Annotated[str, AfterValidator(_absolute_text)]
DaemonUrl = Annotated[str, AfterValidator(_url)]
WebUrl = Annotated[str, AfterValidator(_web)]
