"""Named fields of rows, chosen with ``-o`` as for sacct, in a table or pipe-separated."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from carbonsched.errors import RequestError
from carbonsched.reports.tables import Cell, Column, table
from carbonsched.reports.terminal import Screen, clean

Row = TypeVar("Row")
Raw = str | int | float | None
_CHOICE = re.compile(r"([A-Za-z0-9/_]+)(?:%(-?)(\d{1,4}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Generic[Row]):
    """One thing to show of a row; both functions take the row and the daemon's now.

    ``raw`` is for programs: whole joules, milligrams, seconds; ``raw_name`` says the unit.
    """

    name: str
    title: str
    raw_name: str
    shown: Callable[[Row, int], str]
    raw: Callable[[Row, int], Raw]
    right: bool = False
    floor: int | None = None
    width: int | None = None
    tint: Callable[[Row], str] = lambda _: ""


def choose(fields: Sequence[Field[Row]], text: str) -> list[Field[Row]]:
    """The fields that a list such as ``JobID,JobName%30`` names, in its order.

    Raises:
        RequestError: a name that is not there.
    """
    known = {field.name.lower(): field for field in fields}
    chosen = []
    for word in text.split(","):
        match = _CHOICE.fullmatch(word.strip())
        field = known.get(match[1].lower()) if match else None
        if match is None or field is None:
            raise RequestError(f"no field {word.strip()!r}; '-o help' lists them")
        if match[3]:
            field = replace(field, width=int(match[3]) or None, right=not match[2])
        chosen.append(field)
    return chosen


def field_help(fields: Sequence[Field[Row]]) -> str:
    """The names of all fields in four columns."""
    names = [field.name for field in fields]
    lines = ["".join(f"{name:<20}" for name in names[i : i + 4]) for i in range(0, len(names), 4)]
    return "\n".join(line.rstrip() for line in lines)


def as_table(
    fields: Sequence[Field[Row]], rows: Sequence[Row], now: int, screen: Screen, *, header: bool
) -> list[str]:
    """Lines for people."""
    columns = [
        Column(title=field.title, right=field.right, floor=field.floor, width=field.width)
        for field in fields
    ]
    body = [
        [Cell(clean(field.shown(row, now)), field.tint(row)) for field in fields] for row in rows
    ]
    return table(columns, body, screen, header=header)


def as_pipes(
    fields: Sequence[Field[Row]], rows: Sequence[Row], now: int, *, header: bool
) -> list[str]:
    """Lines for programs: ``|`` between fields, empty for missing, never coloured or cut.

    A ``|`` or control character inside a text becomes ``?``, so that each line has all its fields.
    """
    lines = ["|".join(field.raw_name for field in fields)] if header else []
    lines += ["|".join(_plain(field.raw(row, now)) for field in fields) for row in rows]
    return lines


def _plain(value: Raw) -> str:
    return "" if value is None else clean(str(value)).replace("|", "?")
