"""Slurm's lists of hosts, ``n[1-3,07]``."""

from __future__ import annotations

import re

MOST_HOSTS = 100_000
_NAME = re.compile(r"[A-Za-z0-9._\-\[\],]+")


def expand_hosts(text: str) -> tuple[str, ...]:
    """The single names; none for an empty list or for words such as ``None assigned``."""
    if not _NAME.fullmatch(text):
        return ()
    names: list[str] = []
    for part in _split(text):
        names.extend(_expand(part))
    return tuple(names[:MOST_HOSTS])


def _split(text: str) -> list[str]:
    """Split at the commas that stand outside brackets."""
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part for part in [*parts, text[start:]] if part]


def _expand(name: str) -> list[str]:
    before, bracket, rest = name.partition("[")
    if not bracket:
        return [name]
    inside, _, after = rest.partition("]")
    return (
        [f"{before}{middle}{end}" for middle in _numbers(inside) for end in _expand(after)]
        if after
        else [f"{before}{middle}" for middle in _numbers(inside)]
    )


def _numbers(inside: str) -> list[str]:
    numbers: list[str] = []
    for part in inside.split(","):
        first, dash, last = part.partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            stop = min(int(last), int(first) + MOST_HOSTS)
            numbers.extend(f"{value:0{len(first)}d}" for value in range(int(first), stop + 1))
        else:
            numbers.append(part)
    return numbers
