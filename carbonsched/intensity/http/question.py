"""What is asked of a service, with its secrets still hidden."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote, quote_plus, urlencode

import requests

from carbonsched import __version__
from carbonsched.intensity.http.secret import Secret, scrubbed

Value: TypeAlias = "str | int | Secret"
Params: TypeAlias = "Mapping[str, Value] | Sequence[tuple[str, Value]]"
Headers: TypeAlias = "Mapping[str, str | Secret]"
Auth: TypeAlias = "tuple[str, Secret]"
THREADS = "fetch-"
_PLAIN = {"Accept-Encoding": "identity", "User-Agent": f"carbonsched/{__version__}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One GET; ``shown`` is its address with every secret as ``***``."""

    url: str
    params: tuple[tuple[str, Value], ...] = ()
    headers: tuple[tuple[str, str | Secret], ...] = ()
    auth: Auth | None = None

    @classmethod
    def of(
        cls, url: str, params: Params | None, headers: Headers | None, auth: Auth | None
    ) -> Question:
        """The question by its parts; a mapping of parameters keeps its order."""
        pairs = params.items() if isinstance(params, Mapping) else params or ()
        return cls(url=url, params=tuple(pairs), headers=tuple((headers or {}).items()), auth=auth)

    @property
    def shown(self) -> str:
        """Also what answers are kept by, so that a renewed token finds them again."""
        return _joined(self.url, [(name, str(value)) for name, value in self.params])

    def revealed(self) -> Revealed:
        """As it goes over the wire.

        Raises:
            ProviderRefusedError: a secret cannot be read.
        """
        secrets: list[str] = []

        def plain(value: Value) -> str:
            if not isinstance(value, Secret):
                return str(value)
            shown = value.reveal()
            secrets.extend(_echoes(shown))
            return shown

        url = _joined(self.url, [(name, plain(value)) for name, value in self.params])
        headers = _PLAIN | {name: plain(value) for name, value in self.headers}
        auth = None if self.auth is None else (self.auth[0], plain(self.auth[1]))
        if auth is not None:
            secrets.append(base64.b64encode(":".join(auth).encode()).decode())
        return Revealed(url=url, headers=headers, auth=auth, secrets=secrets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """A question with its secrets, alive only during the exchange."""

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    auth: tuple[str, str] | None = field(repr=False)
    secrets: list[str] = field(repr=False)

    def credentials(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Basic credentials or none: given to requests, else it looks into ``~/.netrc``."""
        return requests.auth.HTTPBasicAuth(*self.auth)(request) if self.auth else request

    def scrubbed(self, text: str) -> str:
        """The text without the secrets: services echo them."""
        return scrubbed(text, self.secrets)


def quiet(record: logging.LogRecord) -> bool:
    """A log filter against urllib3's lines about our exchanges, which print whole addresses."""
    return not (record.threadName or "").startswith(THREADS)


def _echoes(secret: str) -> Iterator[str]:
    """The ways in which services repeat a secret: bare, and as it stood in an address."""
    bare = secret.removeprefix("Bearer ")
    yield from {secret, bare, quote(bare), quote(bare, safe=""), quote_plus(bare)}


def _joined(url: str, pairs: list[tuple[str, str]]) -> str:
    if not pairs:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(pairs)}"
