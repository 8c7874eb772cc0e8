"""YAML as text and places: every scalar stays the text that the file shows.

YAML's own guesses (``NO`` is false, ``22:00`` is 1320, ``0123`` is 83) never happen here; the
schema alone decides what a text means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MOST_NODES = 200_000
_PLAIN_TAGS = frozenset(
    {"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", "!"}
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong, where it is, and what to do."""

    place: Place
    path: Path
    text: str


@dataclass(slots=True)
class Source:
    """A document's content, and where each key and value stands in it."""

    content: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """Where a value stands; for one that is not there, its nearest parent's key."""
        if path in self.values and not isinstance(inside(self.content, path), dict | list):
            return self.values[path]
        while path:
            if path in self.keys or path in self.values:
                return self.keys.get(path) or self.values[path]
            path = path[:-1]
        return Place(1, 1)

    def key_place(self, path: Path) -> Place:
        """Where a key stands."""
        return self.keys.get(path) or self.place(path)


def written(path: Path) -> str:
    """A path as people write it: ``quotas[0].period``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def inside(content: Any, path: Path) -> Any:
    """What stands under a path of plain values; ``None`` where nothing does."""
    for step in path:
        if isinstance(content, dict):
            content = content.get(step)
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            return None
    return content


def read(text: str) -> Source:
    """The document in a text; what is wrong with it as YAML is in ``problems``."""
    source = Source()
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        if root is not None:
            source.content = _Walk(source).value(root, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = "; ".join(word for word in (error.context, error.problem) if word)
        place = _place(mark) if mark else Place(1, 1)
        source.problems.append(Problem(place, (), f"is not YAML: {words}; {_syntax(words)}"))
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        words = f"is not YAML: the character {error.character!r} is not allowed; remove it"
        source.problems.append(Problem(place, (), words))
    except RecursionError:
        words = "is nested too deeply to be a configuration; write it flatter"
        source.problems.append(Problem(Place(1, 1), (), words))
    except (ValueError, OverflowError):  # PyYAML on escapes that name no character
        words = r'a "\U" escape names no character; write the character itself'
        source.problems.append(Problem(Place(1, 1), (), words))
    return source


class _Walk:
    """Turns YAML nodes into plain values and notes their places."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        place = _place(node.start_mark)
        self._source.values[path] = place
        self._count += 1
        if self._count > _MOST_NODES or id(node) in self._open:
            if self._count <= _MOST_NODES + 1:
                self._problem(
                    place, path, "aliases lead back to themselves or explode; write it out"
                )
            return None
        if node.tag not in _PLAIN_TAGS:
            self._problem(place, path, f"tags such as {node.tag!r} are not used here; remove it")
        self._open.add(id(node))
        try:
            return self._content(node, path)
        finally:
            self._open.discard(id(node))

    def _content(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.ScalarNode):
            plain = node.style is None
            return None if plain and node.value in NULLS else node.value
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, (*path, index)) for index, one in enumerate(node.value)]
        return self._mapping(node, path)

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = _place(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(place, path, "a key is a single word; quote it or write a mapping")
                continue
            key = key_node.value
            inner = (*path, key)
            if key in content:
                first = self._source.keys[inner]
                words = f"is written twice, first in line {first.line} column {first.column}"
                self._problem(place, inner, f"{words}; remove one of the two")
                continue
            self._source.keys[inner] = place
            content[key] = self.value(value_node, inner)
        return content

    def _problem(self, place: Place, path: Path, text: str) -> None:
        self._source.problems.append(Problem(place, path, text))


def _place(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _syntax(words: str) -> str:
    if "'\\t'" in words:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in words:
        return 'check the indentation, and quote texts that hold ": "'
    if "expected a single document" in words:
        return "write one document, without ---"
    return "check the indentation and the quotes here"
