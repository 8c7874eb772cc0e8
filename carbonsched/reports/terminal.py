"""Text that is safe and well measured on a terminal."""

from __future__ import annotations

import os
import shutil
import unicodedata
from dataclasses import dataclass
from typing import TextIO

DEFAULT_WIDTH = 80
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where a command prints: how wide it is and whether it takes colour."""

    width: int = DEFAULT_WIDTH
    colour: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> Screen:
        """The stream's screen: colour only on a terminal and without ``NO_COLOR``."""
        terminal = stream.isatty()
        width = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(width=max(width, DEFAULT_WIDTH), colour=terminal and not plain)

    def paint(self, text: str, tint: str) -> str:
        """The text in a named tint, where the screen takes colour."""
        if not self.colour or not tint:
            return text
        return f"\x1b[{_CODES[tint]}m{text}\x1b[0m"


def clean(text: str) -> str:
    """One line without anything that steers a terminal.

    Controls, line ends and unassigned characters become ``?``; invisible format characters, among
    them those that turn the direction of writing, are dropped.
    """
    return "".join(_clean_one(one) for one in text)


def _clean_one(one: str) -> str:
    category = unicodedata.category(one)
    if category == "Cf":
        return ""
    return "?" if category[0] == "C" or category in {"Zl", "Zp"} else one


def cells(text: str) -> int:
    """How many columns a terminal gives to clean text."""
    return sum(_cell(one) for one in text)


def _cell(one: str) -> int:
    if unicodedata.category(one) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(one) in {"W", "F"} else 1


def cut(text: str, width: int) -> str:
    """The text in at most ``width`` columns; ``+`` at the end says that there is more."""
    if cells(text) <= width:
        return text
    kept, used = [], 0
    for one in text:
        if used + _cell(one) > width - 1:
            break
        kept.append(one)
        used += _cell(one)
    return "".join(kept) + "+"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly ``width`` columns, cut where it is longer."""
    shown = cut(text, width)
    space = " " * (width - cells(shown))
    return space + shown if right else shown + space


def paragraph(text: str, width: int, indent: str = "") -> list[str]:
    """Clean text as lines of at most ``width`` columns, broken between words where that is so."""
    room = max(width - len(indent), 20)
    lines: list[str] = []
    line = ""
    for word in clean(text).split():
        if line and cells(line) + 1 + cells(word) <= room:
            line += f" {word}"
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, room)
        lines += full
    return [indent + one for one in [*lines, line] if one]


def _pieces(word: str, width: int) -> list[str]:
    """A word in pieces of at most ``width`` columns, as a rule one."""
    pieces = [""]
    used = 0
    for one in word:
        if used + _cell(one) > width:
            pieces.append("")
            used = 0
        pieces[-1] += one
        used += _cell(one)
    return pieces


def bar(parts: list[tuple[float, str]], width: int) -> str:
    """Fractions of one as runs of their characters in ``width`` columns, the rest as dots.

    What is above zero shows at least one character, so that little never looks like nothing.
    """
    drawn = ""
    for fraction, mark in parts:
        count = max(1, round(fraction * width)) if fraction > 0 else 0
        drawn += mark * count
    return drawn[:width].ljust(width, ".")
