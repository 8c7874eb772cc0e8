"""The reference page of the configuration, written from the schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from carbonsched.config.base import Section
from carbonsched.config.fields import is_list, keys_of, kind_of, sections_of
from carbonsched.config.schema import SiteConfig

_HEAD = """\
# Configuration

This page is written by `carbonsched config reference`; change the descriptions
in `carbonsched/config/` and run it again. A complete example is printed by
`carbonsched config example`; `carbonsched config check FILE` names every fault
in a file at once. How to go about it: [configure](../how-to/configure.md).

The file is YAML, by default `/etc/carbonsched/carbonsched.yaml`, or what the
environment variable `CARBONSCHED_CONFIG` names. Every value is taken as the
text that stands there: `NO` is Norway and `0123` keeps its zero. Unknown keys
and keys written twice are errors. There is no default country and no default
PUE.

| Kind of value | Written as |
|---|---|
| Length of time | `90s`, `15min`, `6h`, `2d`, `1h 30min`; units ms, s, min, h, d, w |
| Mass | `300 mg`, `200 g`, `50 kg`, `1.5 t` |
| Power | `95 W`, `1.2 kW` |
| Memory | `256 GB`, `1.5 TB`, `512000 MB`; 1 GB is 1024 MB, as Slurm counts |
| Lifetime | `6 years`, of 365.25 days |
| Share | `2 %` |
| Day | `2026-01-01` |
| Instant | ISO with an offset: `2021-07-05T00:00Z` |
| Nodes | a Slurm host list: `cn[001-120],login1` |
| Nothing | `null`, `~`, or the key left away |
"""


def reference() -> str:
    """Markdown of every section and key."""
    return "\n".join([_HEAD, *_section("The whole file", SiteConfig, "")])


def _section(title: str, section: type[Section], path: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"{_first_line(section)}\n"
    yield "| Key | For instance | Default | Meaning |"
    yield "|---|---|---|---|"
    fields = keys_of(section)
    for key, field in fields.items():
        yield f"| `{key}` | {_instance(field)} | {_default(field)} | {_meaning(field)} |"
    yield ""
    for key, field in fields.items():
        inner = f"{path}.{key}" if path else key
        inner += "[]" if is_list(field.annotation) else ""
        for one in sections_of(field.annotation):
            kind = kind_of(one)
            suffix = f" of kind {kind}" if kind else ""
            yield from _section(f"`{inner}`{suffix}", one, inner)


def _first_line(section: type[Section]) -> str:
    return (section.__doc__ or "").strip().splitlines()[0]


def _instance(field: FieldInfo) -> str:
    return f"`{field.examples[0]}`" if field.examples else "see below"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "shown" in extra:
        return f"`{extra['shown']}`"
    default = field.default
    if default is None:
        return "none"
    if isinstance(default, Section) or default in ((), "", PydanticUndefined):
        return "as below" if isinstance(default, Section) else "empty"
    return f"`{default}`"


def _meaning(field: FieldInfo) -> str:
    parts = [(field.description or "").replace("|", r"\|"), *_choices(field.annotation)]
    bounds = ", ".join(_bounds(field))
    if bounds:
        parts.append(f"{bounds[0].upper()}{bounds[1:]}.")
    return " ".join(parts)


def _choices(annotation: Any) -> Iterator[str]:
    for inner in (annotation, *get_args(annotation)):
        if get_origin(inner) is Literal and len(get_args(inner)) > 1:
            yield f"One of {', '.join(f'`{one}`' for one in get_args(inner))}."


def _bounds(field: FieldInfo) -> Iterator[str]:
    unit = _unit(field)
    for bound in field.metadata:
        match bound:
            case Ge(ge=value):
                yield f"at least {value}{unit}"
            case Gt(gt=value):
                yield f"more than {value}{unit}"
            case Le(le=value):
                yield f"at most {value}{unit}"
            case MinLen() if is_list(field.annotation):
                yield "at least one"
            case _:
                pass


def _unit(field: FieldInfo) -> str:
    """The unit of a bound, by the unit that the example bears."""
    written = str((field.examples or [""])[0])
    letters = written.lstrip("0123456789. ")
    if letters in {"W", "kW"}:
        return " W"
    if letters == "%":
        return " %"
    if letters == "GB":
        return " MB"
    if letters == "years":
        return " s"
    return " s" if letters in {"ms", "s", "min", "h", "d", "w"} and written != letters else ""
