"""What all sections of the configuration share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

CROSS_CHECK = "cross_check"


class Section(BaseModel):
    """A part of the configuration: unchangeable, and without room for keys nobody reads.

    The file knows a field by its alias, which says no unit; code knows it by its name, which does.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
        str_strip_whitespace=True,
    )


def option(
    description: str,
    *,
    example: str | None,
    default: Any = ...,
    key: str | None = None,
    shown: str | None = None,
    **bounds: Any,
) -> Any:
    """A field: what it means, how it is written, its default and its bounds.

    ``example`` is YAML, ``None`` for a section or list; ``key`` is its name in the file where that
    differs from the attribute's; ``shown`` is the default as the file would write it.
    """
    extra: dict[str, Any] = {"shown": shown} if shown is not None else {}
    return Field(
        default,
        alias=key,
        description=description,
        examples=None if example is None else [example],
        json_schema_extra=extra or None,
        **bounds,
    )


def cross_check(key: str | None, message: str) -> PydanticCustomError:
    """The error of a rule between fields, to be raised; ``key`` is the one to point at."""
    words = message.replace("{", "(").replace("}", ")")
    return PydanticCustomError(CROSS_CHECK, "{words}", {"words": words, "key": key})
