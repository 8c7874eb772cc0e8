"""Tables in columns of characters, within a width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carbonsched.reports.terminal import Screen, cells, pad


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; ``floor`` is how narrow it may be cut, ``None`` for what is never cut (numbers)."""

    title: str
    right: bool = False
    floor: int | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """Clean text and its tint."""

    text: str
    tint: str = ""


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    screen: Screen,
    *,
    header: bool = True,
) -> list[str]:
    """The lines of a table; two spaces between columns where there is room for them, else one."""
    natural = _natural(columns, rows, header=header)
    gap = 2 if sum(natural) + 2 * (len(columns) - 1) <= screen.width else 1
    widths = _squeezed(columns, natural, screen.width - gap * (len(columns) - 1))
    lines = []
    if header:
        titles = [Cell(column.title, "bold") for column in columns]
        lines.append(_line(columns, titles, widths, gap, screen))
    lines += [_line(columns, row, widths, gap, screen) for row in rows]
    return lines


def _natural(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, header: bool
) -> list[int]:
    widths = []
    for index, column in enumerate(columns):
        natural = max((cells(row[index].text) for row in rows), default=0)
        widths.append(column.width or max(natural, cells(column.title) if header else 1))
    return widths


def _squeezed(columns: Sequence[Column], widths: list[int], room: int) -> list[int]:
    """Take from the column that is widest above its floor until all fit, or none can give."""
    widths = list(widths)
    while sum(widths) > room:
        slack = [_slack(column, width) for column, width in zip(columns, widths, strict=True)]
        widest = max(range(len(slack)), key=slack.__getitem__)
        if slack[widest] <= 0:
            break
        widths[widest] -= 1
    return widths


def _slack(column: Column, width: int) -> int:
    return 0 if column.floor is None or column.width else width - column.floor


def _line(
    columns: Sequence[Column],
    row: Sequence[Cell],
    widths: Sequence[int],
    gap: int,
    screen: Screen,
) -> str:
    shown = []
    for column, cell, width in zip(columns, row, widths, strict=True):
        text = pad(cell.text, width, right=column.right)
        bare = text.strip()
        shown.append(text.replace(bare, screen.paint(bare, cell.tint), 1) if bare else text)
    return (" " * gap).join(shown).rstrip()
