"""The Transparency Platform's XML, read into steps of power.

A document comes from a service that nobody here controls: one with a document type is refused
(entities that grow, files of this machine), and so are lengths that no period has. What lies
outside the time that was asked for is not laid out, and all of a document has one bound: a value
that is repeated makes a thousand steps of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from xml.etree import ElementTree as ET

from carbonsched.errors import ProviderMalformedError, ProviderRefusedError
from carbonsched.intensity.mix import MAX_MW, Step
from carbonsched.intensity.values import parse_instant

RESOLUTIONS = {"PT1M": 60, "PT5M": 300, "PT15M": 900, "PT30M": 1800, "PT60M": 3600, "PT1H": 3600}
_LONGEST_PERIOD_S = 400 * 86_400
MOST_STEPS = 200_000
"""Of one document; a fortnight of 40 series in quarters of an hour is 54,000."""

_QUANTITY = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_POSITION = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
_MARK = "\ufeff"
_DECLARED = re.compile("<!(?!--)")
_NOTHING_FOUND = "no matching data found"


@dataclass(frozen=True, slots=True)
class Series:
    """One ``TimeSeries``: its type, whether power goes in instead of out, and its steps in MW."""

    psr_type: str | None
    consumption: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a request was answered with; no series where the platform has no data."""

    series: tuple[Series, ...]
    faulty: int


def read_document(text: str, start_at: int, end_at: int) -> Document:
    """The document's series, with the steps that touch ``[start_at, end_at)``.

    Raises:
        ProviderRefusedError: an acknowledgement that says anything but "no matching data".
        ProviderMalformedError: not such a document.
    """
    root = _parsed(text)
    kind = _local(root.tag)
    if kind == "Acknowledgement_MarketDocument":
        _acknowledged(root)
        return Document((), 0)
    if kind != "GL_MarketDocument":
        raise ProviderMalformedError(f"entsoe: answered with {kind[:40]!a}, not generation or load")
    series: list[Series] = []
    faulty, room = 0, MOST_STEPS
    for node in _named(root, "TimeSeries"):
        one, bad = _series(node, _Asked(start_at, end_at), room)
        room -= len(one.steps)
        series.append(one)
        faulty += bad
    return Document(tuple(series), faulty)


@dataclass(frozen=True, slots=True)
class _Asked:
    start_at: int
    end_at: int


def is_eic(code: str) -> bool:
    """Whether the code has 16 characters and the right last one (ENTSO-E, EIC manual)."""
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-"
    if len(code) != 16 or any(one not in letters for one in code):
        return False
    total = sum(letters.index(one) * (16 - n) for n, one in enumerate(code[:15]))
    return letters[36 - (total - 1) % 37] == code[15]


def _parsed(text: str) -> ET.Element:
    if _DECLARED.search(text):
        raise ProviderMalformedError("entsoe: the answer declares a document type or entities")
    try:
        # A str is parsed as the UTF-8 it is made into, whatever encoding it names.
        return ET.fromstring(text.lstrip(_MARK))  # noqa: S314 - it declares nothing: see above
    except (ET.ParseError, ValueError):
        raise ProviderMalformedError("entsoe: answered with XML that is torn or no XML") from None


def _acknowledged(root: ET.Element) -> None:
    reasons = _named(root, "Reason")
    code = next((_text(node, "code") for node in reasons), "")
    said = " ".join(_text(node, "text") for node in reasons)
    if code == "999" and (not said or _NOTHING_FOUND in said.lower()):
        return
    # The words may repeat the query, and with it the token: they are not shown.
    limit = ": more was asked for than it gives at once" if "exceed" in said.lower() else ""
    raise ProviderRefusedError(
        f"entsoe: refuses the request (reason {ascii(code[:10])[1:-1]}){limit}: correct domain"
        " or the zone's provider"
    )


def _series(node: ET.Element, asked: _Asked, room: int) -> tuple[Series, int]:
    """The series, of at most ``room`` steps, and how many of its points are faulty."""
    names = {_local(child.tag) for child in node}
    unit = _text(node, "quantity_Measure_Unit.name")
    if unit not in {"", "MAW"}:
        raise ProviderMalformedError(f"entsoe: a series is in {unit[:20]!a}, not MAW")
    psr_type = next((_text(child, "psrType") for child in _named(node, "MktPSRType")), None)
    curve = _text(node, "curveType") or "A01"
    if curve not in {"A01", "A03"}:
        raise ProviderMalformedError(f"entsoe: a series has the unknown curve {curve[:20]!a}")
    steps: list[Step] = []
    faulty = 0
    for period in _named(node, "Period"):
        made, bad = _period(period, asked, room - len(steps), repeats=curve == "A03")
        steps += made
        faulty += bad
    consumption = "outBiddingZone_Domain.mRID" in names and "inBiddingZone_Domain.mRID" not in names
    return Series(psr_type or None, consumption, tuple(steps)), faulty


def _period(node: ET.Element, asked: _Asked, room: int, *, repeats: bool) -> tuple[list[Step], int]:
    """Its steps; with ``repeats`` a missing position is the one before it again (curve A03)."""
    interval = next(iter(_named(node, "timeInterval")), node)
    try:
        start_at = parse_instant(_text(interval, "start"))
        end_at = parse_instant(_text(interval, "end"))
        step_s = RESOLUTIONS[_text(node, "resolution")]
    except (ValueError, KeyError):
        raise ProviderMalformedError(
            "entsoe: a period has no start, end or known resolution"
        ) from None
    count, rest = divmod(end_at - start_at, step_s)
    if rest or not 0 < end_at - start_at <= _LONGEST_PERIOD_S:
        raise ProviderMalformedError("entsoe: a period is not a whole number of its steps")
    held: dict[int, set[Fraction | None]] = {}
    faulty = 0
    for position, quantity in _positions(node):
        if position is None or position > count:
            faulty += 1
            continue
        faulty += quantity is None
        held.setdefault(position, set()).add(quantity)
    # Two values for one position, or one that is no number: neither counts, nor is it repeated.
    one = {at: next(iter(some)) if len(some) == 1 else None for at, some in held.items()}
    faulty += sum(len(some) > 1 for some in held.values())
    first = max(1, (asked.start_at - start_at) // step_s + 1)
    last = min(count, -((start_at - asked.end_at) // step_s))
    runs = [run.within(first, last) for run in _runs(one, count, repeats=repeats)]
    if sum(len(run.positions) for run in runs) > room:
        raise ProviderMalformedError(f"entsoe: a document has more than {MOST_STEPS} steps")
    steps = [
        Step(start_at + (at - 1) * step_s, start_at + at * step_s, run.value)
        for run in runs
        for at in run.positions
    ]
    return steps, faulty


@dataclass(frozen=True, slots=True)
class _Run:
    """The positions at which a value holds."""

    positions: range
    value: Fraction

    def within(self, first: int, last: int) -> _Run:
        kept = range(max(self.positions.start, first), min(self.positions.stop, last + 1))
        return _Run(kept, self.value)


def _runs(held: Mapping[int, Fraction | None], count: int, *, repeats: bool) -> Iterator[_Run]:
    for at, following in pairwise([*sorted(held), count + 1]):
        value = held[at]
        if value is not None:
            yield _Run(range(at, following if repeats else at + 1), value)


def _positions(node: ET.Element) -> Iterator[tuple[int | None, Fraction | None]]:
    for point in _named(node, "Point"):
        position, quantity = _text(point, "position"), _text(point, "quantity")
        yield (
            int(position) if _POSITION.fullmatch(position) else None,
            _power(quantity),
        )


def _power(quantity: str) -> Fraction | None:
    value = Fraction(Decimal(quantity)) if _QUANTITY.fullmatch(quantity) else None
    return value if value is not None and abs(value) <= MAX_MW else None


def _text(node: ET.Element, name: str) -> str:
    """The trimmed text of the first child of that name, whatever its namespace; else empty."""
    return next(((child.text or "").strip() for child in _named(node, name)), "")


def _named(node: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in node if _local(child.tag) == name]


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
