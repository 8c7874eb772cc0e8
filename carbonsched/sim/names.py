"""The policies that can be simulated, by name, and the truths that one may be told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from carbonsched.errors import RequestError
from carbonsched.sim.peers import NAMES as PEERS

IMMEDIATE, CARBON = "immediate", "carbon"
POLICIES = (IMMEDIATE, CARBON, *PEERS)
ALL = "all"


class Truth(StrEnum):
    """What nobody can know, in the order in which it is told."""

    RUN_TIMES = "run-times"
    INTENSITY = "intensity"
    ARRIVALS = "arrivals"


EXPLAINED = tuple(tuple(Truth)[:count] for count in range(len(Truth) + 1))
"""Nothing known, then one truth more each time."""


def compared(names: Iterable[str]) -> tuple[str, ...]:
    """These, each once; before them the immediate one, which all are compared with."""
    return tuple(dict.fromkeys((IMMEDIATE, *names)))


def truths_of(words: str) -> tuple[Truth, ...]:
    """The truths of a list with commas; ``all`` stands for each.

    Raises:
        RequestError: a word that is none.
    """
    named = [word.strip() for word in words.split(",")]
    if unknown := [word for word in named if word not in (*Truth, ALL)]:
        raise RequestError(f"{unknown[0]!r} cannot be known; {', '.join((*Truth, ALL))} can")
    return tuple(one for one in Truth if ALL in named or one in named)


def knowing_name(truths: Sequence[Truth]) -> str:
    """What the planner is called that is told them: ``carbon+run-times``, ``carbon+all``."""
    words = [ALL] if len(truths) == len(Truth) else truths
    return "+".join((CARBON, *words))


def told(name: str) -> tuple[Truth, ...]:
    """The truths that a policy of this name is told.

    Raises:
        RequestError: there is no such policy.
    """
    own, _, words = name.partition("+")
    if own not in POLICIES or (words and own != CARBON):
        raise RequestError(f"{name}: no such policy; {', '.join(POLICIES)} are")
    return truths_of(words.replace("+", ",")) if words else ()
