"""Numbers as training scripts give them."""

from __future__ import annotations

import math
import operator
from contextlib import suppress
from typing import Any


def whole(value: Any, *, least: int | None = None) -> int | None:
    """The whole number that ``value`` means, or ``None``.

    Other libraries' integers count, and so do texts; a fraction is rounded up, as the epoch that it
    reaches into begins. ``None`` also stands for what is less than ``least``.
    """
    number = None
    with suppress(Exception):
        number = _index(value)
    return None if number is not None and least is not None and number < least else number


def _index(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return math.ceil(float(value))
