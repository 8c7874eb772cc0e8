"""Keys and passwords that no log, error or representation shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from stat import S_IROTH, S_ISREG, S_IWGRP, S_IWOTH
from typing import Any, NoReturn

from carbonsched.errors import ProviderRefusedError

HIDDEN = "***"
_MOST_BYTES = 8192


class Secret:
    """A text whose value only :meth:`reveal` gives; everything else about it says ``***``."""

    __slots__ = ("_read",)

    def __init__(self, value: str) -> None:
        self._read: Callable[[], str] = lambda: value

    @classmethod
    def from_file(cls, path: Path) -> Secret:
        """The first line of a file that only its owner and group may read.

        The file is read whenever the key is needed, so a corrected one counts from then on.
        """
        return cls._that(lambda: _of_file(path))

    @classmethod
    def from_environment(cls, name: str, environment: Mapping[str, str] | None = None) -> Secret:
        """The value of an environment variable when the key is needed."""
        return cls._that(lambda: _of_environment(name, environment))

    @classmethod
    def _that(cls, read: Callable[[], str]) -> Secret:
        secret = cls("")
        secret._read = read
        return secret

    def reveal(self) -> str:
        """The value itself, for the wire and for nothing else.

        Raises:
            ProviderRefusedError: there is none, it is not one line of printable ASCII, or all the
                world may read its file. The message names file or variable, never the value.
        """
        return self._read()

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not stored")


def scrubbed(text: str, values: list[str]) -> str:
    """The text without any of the values, long ones first since one may hold another."""
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, HIDDEN) if value else text
    return text


def _of_file(path: Path) -> str:
    said = f"key_file {path}"
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not S_ISREG(mode):
                raise ProviderRefusedError(f"{said}: is no file; write the key into one")
            if mode & (S_IROTH | S_IWOTH | S_IWGRP):
                raise ProviderRefusedError(f"{said}: others may use it; chmod 640 or 600")
            raw = file.read(_MOST_BYTES)
    except OSError as error:
        raise ProviderRefusedError(f"{said}: cannot be read: {error.strerror}") from None
    return _one_line(raw.decode("utf-8", "replace"), said)


def _of_environment(name: str, environment: Mapping[str, str] | None) -> str:
    given: Mapping[str, Any] = os.environ if environment is None else environment
    return _one_line(given.get(name, ""), f"key_env {name}")


def _one_line(text: str, said: str) -> str:
    value = text.strip()
    if not value:
        raise ProviderRefusedError(f"{said}: holds no key; put it there")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ProviderRefusedError(f"{said}: a key is one line without spaces; correct it")
    return value
