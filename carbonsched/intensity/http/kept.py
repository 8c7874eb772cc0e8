"""Bodies kept for a while, with what a service needs to say that nothing changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A body as it came, decompressed; ``charset`` as the service declared it."""

    status: int
    body: bytes = field(repr=False)
    charset: str | None = None
    etag: str | None = None
    modified: str | None = None
    came_at: float = 0.0

    @property
    def conditions(self) -> dict[str, str]:
        """Request headers by which the service may answer 304."""
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in given.items() if value}


class Kept:
    """The last bodies by address, at most so many and so large together; the oldest go first."""

    def __init__(self, most: int = 128, most_bytes: int = 16_000_000) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def get(self, key: str) -> Answer | None:
        """What is kept of an address."""
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def fresh(self, key: str, now: float, within_s: float) -> Answer | None:
        """The same, where it came less than so many seconds before ``now``."""
        answer = self.get(key)
        # A clock set back makes nothing fresh.
        return answer if answer is not None and 0 <= now - answer.came_at < within_s else None

    def put(self, key: str, answer: Answer) -> None:
        """Keep it; one that is larger than all together may be is not kept."""
        self.drop(key)
        if len(answer.body) > self._most_bytes:
            return
        self._answers[key] = answer
        self._bytes += len(answer.body)
        while len(self._answers) > self._most or self._bytes > self._most_bytes:
            self.drop(next(iter(self._answers)))

    def drop(self, key: str) -> None:
        """Forget an address."""
        answer = self._answers.pop(key, None)
        self._bytes -= 0 if answer is None else len(answer.body)


def validators(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """ETag and Last-Modified of an answer, where they are short and plain."""
    etag, modified = headers.get("ETag"), headers.get("Last-Modified")
    return _plain(etag), _plain(modified)


def _plain(value: str | None) -> str | None:
    if value is None or len(value) > 200 or not (value.isascii() and value.isprintable()):
        return None
    return value
