"""A complete, commented configuration, written out from the schema itself."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from carbonsched.config.base import Section
from carbonsched.config.facility import PueConfig
from carbonsched.config.fields import is_list, keys_of, kind_of, sections_of
from carbonsched.config.own_series import FileConfig, StaticConfig
from carbonsched.config.policy import QuotaConfig
from carbonsched.config.providers import NesoConfig, WattTimeConfig
from carbonsched.config.schema import SiteConfig

_COLUMNS = 80
_HEAD = """\
# carbonsched's configuration: one file for the whole site.
# Check it with:   carbonsched config check FILE
# Every key:       docs/reference/configuration.md
# Lengths of time bear a unit (90s, 15min, 6h, 2d), masses too (200 g, 50 kg).
# A line that is commented out shows a key that may be left away.
"""
_PROVIDERS: tuple[type[Section], ...] = (FileConfig, StaticConfig)
_LIVE = frozenset({"forecasts", "quota_file", "idle", "max", "g_per_kwh", "source", "year"})
"""Keys that may be left away, and without which there are no deferrals, no binding quotas and no
power of nodes."""
_OFF = frozenset({"gpus", "ipmi"})
"""Keys whose example is not what a site should begin with."""
_QUOTAS = (("user", '"*"', "1.5 kg"), ("user", "alice", "20 kg"), ("account", "physics", "250 kg"))


def example() -> str:
    """YAML that passes the check and names every key of the schema but the replay's."""
    lines = [_HEAD.rstrip()]
    for key, field in keys_of(SiteConfig).items():
        lines += ["", *_comment(field.description, 0), *_field(key, field, 0)]
    return "\n".join(lines) + "\n"


def _field(key: str, field: FieldInfo, depth: int) -> Iterator[str]:
    if key == "quotas":
        yield "quotas:"
        yield from _quotas()
    elif key == "providers":
        yield f"{_indent(depth)}providers:"
        yield from _entries(_PROVIDERS, depth + 2)
    elif key == "ranking":
        yield f"{_indent(depth)}# ranking:"
        yield from _commented(WattTimeConfig, f"{_indent(depth)}#   ")
    elif key == "pue" and sections_of(field.annotation):
        yield from _scalar(key, field, depth)
        yield from _changing_pue(depth)
    elif sections := sections_of(field.annotation):
        yield f"{_indent(depth)}{key}:"
        if is_list(field.annotation):
            yield from _entries(sections, depth + 2)
        else:
            yield from _section(sections[0], depth + 2)
    else:
        yield from _scalar(key, field, depth)
    if key == "zones":
        yield from _live_service()


def _scalar(key: str, field: FieldInfo, depth: int) -> Iterator[str]:
    needless = not field.is_required() and field.default is None and key not in _LIVE
    off = "# " if needless or key in _OFF else ""
    yield f"{_indent(depth)}{off}{key}: {(field.examples or [''])[0]}"


def _section(section: type[Section], depth: int) -> Iterator[str]:
    for key, field in keys_of(section).items():
        yield from _comment(field.description, depth)
        yield from _field(key, field, depth)


def _entries(
    sections: tuple[type[Section], ...] | list[type[Section]], depth: int
) -> Iterator[str]:
    for section in sections:
        lines = list(_section(section, depth + 2))
        first = next(index for index, line in enumerate(lines) if not line.lstrip().startswith("#"))
        if first and kind_of(section) is None:
            yield from (line[2:] for line in lines[:first])
        elif first:
            yield from _comment(section.__doc__, depth)
        yield f"{_indent(depth)}- {lines[first].lstrip()}"
        yield from lines[first + 1 :]


def _changing_pue(depth: int) -> Iterator[str]:
    yield from _comment("Or, as it changes, with one of table, file and prometheus:", depth)
    yield f"{_indent(depth)}# pue:"
    for line in _keys_alone(PueConfig, 2):
        yield f"{_indent(depth)}# {line}"


def _keys_alone(section: type[Section], depth: int) -> Iterator[str]:
    """The keys of a section without their descriptions."""
    for key, field in keys_of(section).items():
        inner = sections_of(field.annotation)
        if section is PueConfig and key == "constant":
            continue  # it is written as the number itself
        if not inner:
            yield f"{_indent(depth)}{key}: {(field.examples or [''])[0]}"
            continue
        yield f"{_indent(depth)}{key}:"
        lines = list(_keys_alone(inner[0], depth + 2))
        if is_list(field.annotation):
            lines = [f"{_indent(depth + 2)}- {lines[0].lstrip()}", *(f"  {x}" for x in lines[1:])]
        yield from lines


def _live_service() -> Iterator[str]:
    yield from _comment(f"Another: {NesoConfig.__doc__}", 2)
    yield "  # - name: GB"
    yield "  #   providers:"
    yield from _commented(NesoConfig, "  #     ")


def _commented(section: type[Section], before: str) -> Iterator[str]:
    """A provider's keys as a comment: required ones, and those with a default of their own."""
    mark = "-"
    for key, field in keys_of(section).items():
        if field.default is None and key != "key_file":
            continue
        yield f"{before}{mark} {key}: {(field.examples or [''])[0]}"
        mark = " "


def _quotas() -> Iterator[str]:
    fields = keys_of(QuotaConfig)
    explained = set()
    for key, name, mass in _QUOTAS:
        if key not in explained:
            yield from _comment(fields[key].description, 2)
            explained.add(key)
        yield f"  - {key}: {name}"
        yield f"    monthly: {mass}"


def _comment(text: str | None, depth: int) -> list[str]:
    words = (text or "").strip().splitlines()[0] if text else ""
    return textwrap.wrap(
        words,
        _COLUMNS,
        initial_indent=f"{_indent(depth)}# ",
        subsequent_indent=f"{_indent(depth)}# ",
    )


def _indent(depth: int) -> str:
    return " " * depth
