"""Validation errors as lines that name the place, the key and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import ErrorDetails

from carbonsched.config.base import CROSS_CHECK
from carbonsched.config.fields import Fields, as_written, fields_at
from carbonsched.config.quantities import suggestion
from carbonsched.config.source import Path, Problem, Source, inside

_LISTS = frozenset({"tuple_type", "list_type"})
_MAPPINGS = frozenset({"model_type", "model_attributes_type", "dict_type"})
_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def problem(error: ErrorDetails, source: Source) -> Problem | None:
    """The problem that a validation error describes; ``None`` where others say it already."""
    if error["type"] == "too_short" and error["input"]:
        return None  # pydantic counts the good entries; the bad ones have lines of their own
    path = as_written(_without_tags(error["loc"], source.content), source.content)
    if len(path) > 1 and isinstance(path[-1], str):
        written = inside(source.content, path[:-1])
        # A section may be written as one value; what is wrong with it is wrong with that.
        path = path if written is None or isinstance(written, dict) else path[:-1]
    kind = error["type"]
    if kind == "extra_forbidden":
        return Problem(source.key_place(path), path, _unknown(path))
    if kind == "missing":
        return Problem(source.place(path), path, _missing(path, source.content))
    if kind == CROSS_CHECK:
        path = (*path, *_steps(error["ctx"]["key"]))
    if kind.startswith("union_tag"):
        path = (*path, "kind")
    return Problem(source.place(path), path, _words(error, inside(source.content, path)))


def _words(error: ErrorDetails, value: Any) -> str:
    """What is wrong; ``value`` is what the file says."""
    kind = error["type"]
    if kind in _LIMITS:
        key, limit = _LIMITS[kind]
        return f"must be {limit} {error['ctx'][key]:g}; {_found(value)}"
    for kinds, words in _EXPECTED:
        if kind in kinds:
            return words(error)
    if kind == CROSS_CHECK:
        return str(error["ctx"]["words"])
    if value is None and kind != "value_error":
        return f"has no value; write one or remove the key ({error['msg']})"
    return str(error["msg"]).removeprefix("Value error, ")


def _unknown(path: Path) -> str:
    key = str(path[-1])
    if key == "<<":
        return "merge keys are not used here; write the keys out"
    return f"unknown key{suggestion(key, list(fields_at(path[:-1])))}"


def _missing(path: Path, content: Any) -> str:
    fields: Fields = fields_at(path[:-1], content)
    field = fields.get(str(path[-1]))
    if field is None:
        return "is required; add it"
    example = (field.examples or [None])[0]
    remedy = f"add for instance {path[-1]}: {example}" if example else f"add {path[-1]}:"
    return f"is required: {(field.description or '').rstrip('.')}; {remedy}"


def _list(error: ErrorDetails) -> str:
    return f'expected a list, lines that begin with "- "; {_found(error["input"])}'


def _mapping(error: ErrorDetails) -> str:
    return f'expected keys with values, lines of "key: value"; {_found(error["input"])}'


def _text(error: ErrorDetails) -> str:
    return f"expected a text; {_found(error['input'])}"


def _integer(error: ErrorDetails) -> str:
    return f"expected a whole number; {_found(error['input'])}"


def _number(error: ErrorDetails) -> str:
    value = error["input"]
    comma = "; write a decimal point, not a comma" if "," in str(value) else ""
    return f"expected a number; {_found(value)}{comma}"


def _choice(error: ErrorDetails) -> str:
    expected = str(error["ctx"]["expected"])
    words = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    return f"expected {expected}; {_found(error['input'])}{_near(error['input'], words)}"


def _kind(error: ErrorDetails) -> str:
    words = [word.strip("' ") for word in str(error["ctx"]["expected_tags"]).split(",")]
    tag = error["ctx"]["tag"]
    return f"unknown kind {tag!r}{suggestion(str(tag), words)}"


def _no_kind(error: ErrorDetails) -> str:
    if not isinstance(error["input"], dict):
        return _mapping(error)
    return "is required: which provider this is; write for instance kind: neso, file or static"


def _empty(error: ErrorDetails) -> str:
    return "must not be empty; write at least one" if error["input"] == [] else "must not be empty"


_EXPECTED: tuple[tuple[frozenset[str], Callable[[ErrorDetails], str]], ...] = (
    (_LISTS, _list),
    (_MAPPINGS, _mapping),
    (frozenset({"string_type", "path_type"}), _text),
    (frozenset({"int_parsing", "int_type", "int_from_float", "int_parsing_size"}), _integer),
    (frozenset({"float_parsing", "float_type", "finite_number"}), _number),
    (frozenset({"literal_error"}), _choice),
    (frozenset({"union_tag_invalid"}), _kind),
    (frozenset({"union_tag_not_found"}), _no_kind),
    (frozenset({"too_short", "string_too_short"}), _empty),
)


def _near(value: Any, words: list[str]) -> str:
    found = suggestion(str(value), words)
    return found if found.startswith("; did") else ""


def _found(value: Any) -> str:
    if value is None:
        return "nothing is written here"
    if isinstance(value, dict):
        return "keys are written here"
    if isinstance(value, list | tuple):
        return "a list is written here"
    return f"{value!r} is written here"


def _without_tags(loc: tuple[str | int, ...], content: Any) -> Path:
    """The path in the file: pydantic also names the member of a union, which stands nowhere."""
    path: list[str | int] = []
    tagged = False
    for step in loc:
        # Nothing at the top is a union, whatever somebody writes there.
        if path and not tagged and isinstance(content, dict) and content.get("kind") == step:
            tagged = True
            continue
        path.append(step)
        content, tagged = inside(content, (step,)), False
    return tuple(path)


def _steps(key: str | None) -> Path:
    """``nodes.0.max`` as a path."""
    if key is None:
        return ()
    return tuple(int(step) if step.isdigit() else step for step in key.split("."))
