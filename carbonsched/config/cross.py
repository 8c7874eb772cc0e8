"""Rules between sections, held even where a section has faults of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from carbonsched.config.quantities import suggestion
from carbonsched.config.source import Path, Problem, Source, inside, written
from carbonsched.model.hostlist import expand


def problems(source: Source) -> Iterator[Problem]:
    """What contradicts between the sections of a document."""
    yield from _unique(source, "zones", ("name",))
    yield from _unique(source, "clusters", ("name",))
    yield from _unique(source, "quotas", ("user", "account"))
    yield from _zones_exist(source)
    for path, _ in _entries(source.content, "clusters"):
        yield from _each_node_once(source, path)


def _unique(source: Source, section: str, keys: tuple[str, ...]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], Path] = {}
    for path, entry in _entries(source.content, section):
        for key in keys:
            value = entry.get(key)
            if not isinstance(value, str):
                continue
            name = (key, value.strip())
            if name in seen:
                line = source.place((*seen[name], key)).line
                words = f"{value!r} stands in line {line} already; names here are unique"
                yield Problem(source.place((*path, key)), (*path, key), words)
            else:
                seen[name] = path


def _zones_exist(source: Source) -> Iterator[Problem]:
    zones = [entry.get("name") for _, entry in _entries(source.content, "zones")]
    known = [name.strip() for name in zones if isinstance(name, str)]
    if not known:
        return  # the missing zones are a fault of their own
    for path, entry in _entries(source.content, "clusters"):
        zone = entry.get("zone")
        if isinstance(zone, str) and zone.strip() and zone.strip() not in known:
            where = (*path, "zone")
            words = f"{zone!r} is not among zones{suggestion(zone, known)}"
            yield Problem(source.place(where), where, words)


def _each_node_once(source: Source, cluster: Path) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for inner, entry in _entries(inside(source.content, cluster), "nodes"):
        path = (*cluster, *inner)
        for node in _nodes(entry.get("nodes")):
            if node in seen:
                where = (*path, "nodes")
                words = f"node {node} stands in {written(seen[node])} already; leave one"
                yield Problem(source.place(where), where, words)
                break
            seen[node] = path


def _nodes(value: Any) -> list[str]:
    if not isinstance(value, str):
        return []
    try:
        return expand(value.strip())
    except ValueError:  # a fault of its own
        return []


def _entries(content: Any, section: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    listed = content.get(section) if isinstance(content, dict) else None
    if not isinstance(listed, list):
        return
    for index, entry in enumerate(listed):
        if isinstance(entry, dict):
            yield (section, index), entry
