"""Reads the site's configuration, or says everything that is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from carbonsched.config import cross, errors
from carbonsched.config.fields import keys_of
from carbonsched.config.schema import SiteConfig
from carbonsched.config.source import Place, Problem, Source, read, written
from carbonsched.errors import ConfigError

DEFAULT_PATH = "/etc/carbonsched/carbonsched.yaml"
VARIABLE = "CARBONSCHED_CONFIG"
_EXAMPLE = "'carbonsched config example' prints a complete one"
_MOST_BYTES = 8 * 1024 * 1024


def config_path() -> Path:
    """Where this process looks for the configuration."""
    return Path(os.environ.get(VARIABLE) or DEFAULT_PATH)


def load(path: Path | None = None) -> SiteConfig:
    """Read a file, by default the one at :func:`config_path`.

    Raises:
        ConfigError: absent, unreadable or wrong; one line ``FILE:LINE:COLUMN  key: what; remedy``
            for every fault, in the file's order.
    """
    where = path or config_path()
    try:
        with where.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError([f"{where}: {reason}; {_EXAMPLE}"]) from None
    except ValueError:  # a NUL in the name
        raise ConfigError([f"{str(where)!r} is not a file name"]) from None
    if len(data) > _MOST_BYTES:
        raise ConfigError([f"{where}: is larger than 8 MiB, so hardly a configuration"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{where}:{line}:1  is not UTF-8 text; save it as UTF-8"]) from None
    return loads(text, str(where))


def loads(text: str, name: str) -> SiteConfig:
    """Read a text; ``name`` begins every line of the error.

    Raises:
        ConfigError: as :func:`load`.
    """
    source = read(text)
    if source.content is None and not source.problems:
        raise ConfigError([f"{name}: is empty; required are {_required()}; {_EXAMPLE}"])
    problems = list(source.problems)
    config = None
    if source.content is not None:
        config = _validate(source, problems)
        problems += cross.problems(source)
    if config is None or problems:
        raise ConfigError(_lines(name, problems))
    return config


def _validate(source: Source, problems: list[Problem]) -> SiteConfig | None:
    if not isinstance(source.content, dict):
        words = f"expected sections, lines such as site:; required are {_required()}"
        problems.append(Problem(Place(1, 1), (), words))
        return None
    try:
        return SiteConfig.model_validate(source.content, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False)
        found = (errors.problem(detail, source) for detail in details)
        problems += [one for one in found if one is not None]
        return None


def _required() -> str:
    return ", ".join(key for key, field in keys_of(SiteConfig).items() if field.is_required())


def _lines(name: str, problems: list[Problem]) -> list[str]:
    """In the file's order, and where places are equal in the order of the schema."""
    ordered = sorted(dict.fromkeys(problems), key=lambda one: one.place)
    return [_line(name, one) for one in ordered]


def _line(name: str, problem: Problem) -> str:
    place = f"{name}:{problem.place.line}:{problem.place.column}"
    path = written(problem.path)
    words = " ".join(problem.text.split())
    return f"{place}  {path}: {words}" if path else f"{place}  {words}"
