"""The check that a JSON value has the shape of a type."""

from __future__ import annotations

import math
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

from carbonsched.errors import DaemonError


def conform(value: Any, shape: Any, where: str) -> None:
    """Check that a JSON value has a type's shape; fields that the type does not know may be there.

    Daemon and commands may come from different versions; this is where that shows.

    Raises:
        DaemonError: naming the first place that is not as expected; ``where`` is the value's own.
    """
    if is_typeddict(shape):
        _conform_object(value, shape, where)
    elif get_origin(shape) is list:
        _require(isinstance(value, list), where, "a list")
        for index, one in enumerate(value):
            conform(one, get_args(shape)[0], f"{where}[{index}]")
    elif get_origin(shape) is UnionType:
        if value is not None:
            (given,) = (one for one in get_args(shape) if one is not NoneType)
            conform(value, given, where)
    elif shape is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _require(number and math.isfinite(value), where, "a number")
    else:
        exact = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
        _require(exact, where, {int: "a whole number", str: "a text", bool: "true or false"}[shape])


def _conform_object(value: Any, shape: Any, where: str) -> None:
    _require(isinstance(value, dict), where, "an object")
    for name, hint in get_type_hints(shape).items():
        inner = f"{where}.{name}" if where else name
        if name in value:
            conform(value[name], hint, inner)
        else:
            _require(name not in shape.__required_keys__, inner, "there")


def _require(condition: bool, where: str, wanted: str) -> None:
    if not condition:
        raise DaemonError(
            f"the daemon's answer is not as expected: {where or 'it'} is not {wanted};"
            " are daemon and command of the same version?"
        )
