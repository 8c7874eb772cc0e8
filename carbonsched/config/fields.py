"""The schema walked by paths of the file."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from carbonsched.config.base import Section
from carbonsched.config.schema import SiteConfig
from carbonsched.config.source import Path, inside

Fields: TypeAlias = dict[str, FieldInfo]


def keys_of(section: type[Section]) -> Fields:
    """The fields of a section by the names that the file uses."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def sections_of(annotation: Any) -> list[type[Section]]:
    """The sections that a field can hold: none for a scalar, several for providers."""
    return list(_sections(annotation))


def is_list(annotation: Any) -> bool:
    """Whether a field holds a list."""
    return get_origin(annotation) is tuple


def kind_of(section: type[Section]) -> str | None:
    """The word that picks a section among several."""
    field = section.model_fields.get("kind")
    if field is None or get_origin(field.annotation) is not Literal:
        return None
    return str(get_args(field.annotation)[0])


def as_written(path: Path, content: Any) -> Path:
    """The path by the file's keys: pydantic names a default's field as code does."""
    if not path or isinstance(path[-1], int):
        return path
    for section in sections_at(path[:-1], content):
        field = section.model_fields.get(path[-1])
        if field is not None and field.alias and inside(content, path) is None:
            return (*path[:-1], field.alias)
    return path


def fields_at(path: Path, content: Any = None) -> Fields:
    """The fields that may stand under a path; those of the kind at hand where kinds differ."""
    chosen = sections_at(path, content)
    return {key: field for section in chosen for key, field in keys_of(section).items()}


def sections_at(path: Path, content: Any = None) -> list[type[Section]]:
    """The sections that may stand under a path; the one of the kind at hand where kinds differ."""
    sections: list[type[Section]] = [SiteConfig]
    for step in path:
        content = inside(content, (step,))
        if isinstance(step, int):
            continue
        fields: Fields = {}
        for section in sections:
            fields.update(keys_of(section))
        if step not in fields:
            return []
        sections = sections_of(fields[step].annotation)
    kind = content.get("kind") if isinstance(content, dict) else None
    return [one for one in sections if kind_of(one) == kind] or sections


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _sections(get_args(annotation)[0])
    elif get_origin(annotation) in {tuple, Union, types.UnionType}:
        for inner in get_args(annotation):
            yield from _sections(inner)
