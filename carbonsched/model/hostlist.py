"""Slurm's host lists: ``n[1-3,07],gpu1`` written out."""

from __future__ import annotations

import re
from itertools import product

MAX_HOSTS = 100_000
MAX_TEXT = 1_000_000
_PLAIN = re.compile(r"[A-Za-z0-9._-]*")
_PIECE = re.compile(r"\[([^\[\]]*)\]|([^\[\],]+)")
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")


def expand(text: str) -> list[str]:
    """The hosts of a list in the order in which it names them; an empty text names none.

    Zero padding is kept (``n[08-10]`` is n08, n09, n10) and several brackets multiply
    (``r[1-2]n[1-2]``).

    Raises:
        ValueError: not a host list, or one of more than ``MAX_HOSTS`` hosts.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"a host list of {len(text)} characters is too long")
    hosts: list[str] = []
    for word in _words(text):
        _expand_word(word, hosts)
    return hosts


def _words(text: str) -> list[str]:
    """Split at the commas outside brackets."""
    words, depth, begin = [], 0, 0
    for place, letter in enumerate(text):
        if letter == "[":
            depth += 1
        elif letter == "]":
            depth -= 1
        elif letter == "," and depth == 0:
            words.append(text[begin:place])
            begin = place + 1
        if depth not in (0, 1):
            raise ValueError(f"the brackets of {_shown(text)} do not match")
    if depth:
        raise ValueError(f"the brackets of {_shown(text)} do not match")
    if text:
        words.append(text[begin:])
    return words


def _expand_word(word: str, hosts: list[str]) -> None:
    """Write out one word at the end of ``hosts``."""
    choices: list[list[str]] = []
    count = 1
    for match in _PIECE.finditer(word):
        inside, plain = match.groups()
        if plain is None:
            choices.append(_numbers(inside, MAX_HOSTS // count))
            count *= len(choices[-1])
        elif _PLAIN.fullmatch(plain):
            choices.append([plain])
        else:
            raise ValueError(f"{_shown(word)} is not a host name")
    if not choices:
        raise ValueError("a host list has an empty name")
    if len(hosts) + count > MAX_HOSTS:
        raise ValueError(f"a host list names more than {MAX_HOSTS} hosts")
    hosts.extend("".join(parts) for parts in product(*choices))


def _numbers(inside: str, limit: int) -> list[str]:
    """What stands between brackets, ``1-3,07``, as texts."""
    numbers: list[str] = []
    for word in inside.split(","):
        match = _RANGE.fullmatch(word)
        if match is None:
            raise ValueError(f"{_shown(word)} is not a range of a host list")
        first, last = match[1], match[2] or match[1]
        count = int(last) - int(first) + 1
        if count < 1:
            raise ValueError(f"the range {word} of a host list runs backwards")
        if len(numbers) + count > limit:
            raise ValueError(f"a host list names more than {MAX_HOSTS} hosts")
        numbers.extend(str(one).zfill(len(first)) for one in range(int(first), int(last) + 1))
    return numbers


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
