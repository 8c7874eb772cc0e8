"""Checking what nodes send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_WHOLE = 10**15
"""The largest number in a reading: far beyond any node's, and thousands of them still add up."""


def exact_fields(wire: Any, cls: type) -> dict[str, Any]:
    """What makes a dataclass of ``cls``, and no more; ``ValueError`` says what is wrong."""
    expected = set(cls.__dataclass_fields__)  # type: ignore[attr-defined]
    if not isinstance(wire, dict) or set(wire) != expected:
        raise ValueError(f"expected an object with {', '.join(sorted(expected))}")
    return dict(wire)


def check_types(fields: Mapping[Any, Any], types: Mapping[Any, type]) -> None:
    """Each value is of its type, and no number too large; ``ValueError`` names one that is not."""
    for name, kind in types.items():
        value = fields[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{name} is not {'a string' if kind is str else 'a whole number'}")
        if isinstance(value, int) and abs(value) > MAX_WHOLE:
            raise ValueError(f"{name} is too large a number")
