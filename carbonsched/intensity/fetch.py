"""One careful GET of a JSON document from a service that nobody here controls.

Bounded in time as a whole (name look-up and a dripping header included), in size, and to one
address: no redirect is followed. Numbers with a fraction come as ``Decimal``, exactly as written.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from carbonsched import __version__
from carbonsched.errors import (
    ProviderError,
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)

MAX_BYTES = 4_000_000
_CHUNK = 16_384
_PASSING = frozenset({408, 425, 429})
_LONGEST_WAIT_S = 86_400
_MISSED_WAIT_S = 60
_LONGEST_REASON = 160


class RateLimitedError(ProviderUnavailableError):
    """The service asks to be left alone for ``wait_s`` seconds."""

    def __init__(self, message: str, wait_s: int) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class JsonFetcher:
    """Fetches documents for one provider; ``name`` begins every error."""

    def __init__(
        self,
        *,
        name: str,
        timeout_s: float,
        max_bytes: int = MAX_BYTES,
        settings: str = "base_url or the zone's provider",
        proxies: bool = True,
    ) -> None:
        """``timeout_s`` bounds the whole exchange; ``max_bytes`` the decoded body.

        ``settings`` are what to correct where the service refuses. ``proxies`` says whether those
        that the environment names are used; services inside the site are reached without.
        """
        self._name = name
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._settings = settings
        self._proxies = proxies
        self._last: Future[bytes] | None = None

    def get(self, url: str) -> Any:
        """The JSON document at ``url``.

        Raises:
            RateLimitedError: 429, or 503 with Retry-After.
            ProviderUnavailableError: unreachable, too slow, or its own fault.
            ProviderRefusedError: a status of 300 to 499 that asking again will not change.
            ProviderMalformedError: too large, torn, or not JSON.
        """
        body = self._within_time(url)
        try:
            return json.loads(body, parse_float=Decimal, parse_constant=_nothing)
        except (ValueError, RecursionError):
            kind = "HTML" if body.lstrip()[:1] == b"<" else "something that is not JSON"
            raise ProviderMalformedError(f"{self._name}: answered with {kind}") from None

    def _within_time(self, url: str) -> bytes:
        """Fetch in a thread: requests bounds neither name look-up nor a header that drips."""
        if self._last is not None and not self._last.done():
            raise ProviderUnavailableError(f"{self._name}: the last request has still not ended")
        answer: Future[bytes] = Future()
        deadline = monotonic() + self._timeout_s
        self._last = answer
        threading.Thread(
            target=self._work, args=(answer, url, deadline), name=f"fetch-{self._name}", daemon=True
        ).start()
        try:
            return answer.result(self._timeout_s)
        except (TimeoutError, requests.Timeout, ReadTimeoutError):
            raise self._timed_out() from None
        except ProviderError:
            raise
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise ProviderUnavailableError(f"{self._name}: {_cause(error)}") from None

    def _work(self, answer: Future[bytes], url: str, deadline: float) -> None:
        try:
            answer.set_result(self._exchange(url, deadline))
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            answer.set_exception(error)

    def _exchange(self, url: str, deadline: float) -> bytes:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"carbonsched/{__version__}",
        }
        timeout = (self._timeout_s, self._timeout_s)
        with requests.Session() as session:
            session.trust_env = self._proxies
            with session.get(
                url, headers=headers, timeout=timeout, stream=True, allow_redirects=False
            ) as response:
                self._check(response, deadline)
                return self._body(response, deadline)

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        # read1 returns with what has come, so that a body that drips meets the deadline.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._max_bytes:
                raise ProviderMalformedError(
                    f"{self._name}: the answer is larger than {self._max_bytes} bytes"
                )
            if monotonic() > deadline:
                raise self._timed_out()
        return bytes(body)

    def _check(self, response: requests.Response, deadline: float) -> None:
        status = response.status_code
        if status == 200:
            return
        said = f"{self._name}: answered with status {status}"
        after = response.headers.get("Retry-After")
        if status == 429 or (status >= 500 and after is not None):
            wait_s = retry_after_s(after, datetime.now(UTC))
            raise RateLimitedError(f"{said}; not asked again for {wait_s} s", wait_s)
        if 300 <= status < 400:
            raise ProviderRefusedError(f"{said}, a redirect: correct {self._settings}")
        if 400 <= status < 500 and status not in _PASSING:
            why = self._why(response, deadline)
            raise ProviderRefusedError(f"{said}{why}: correct {self._settings}")
        raise ProviderUnavailableError(said)

    def _why(self, response: requests.Response, deadline: float) -> str:
        """The reason in a JSON answer's ``error``, where it is a short text."""
        try:
            document = json.loads(self._body(response, deadline))
        except (ValueError, RecursionError, ProviderError):
            return ""
        reason = document.get("error") if isinstance(document, dict) else None
        if not isinstance(reason, str) or not reason:
            return ""
        return f" ({ascii(reason[:_LONGEST_REASON])[1:-1]})"

    def _timed_out(self) -> ProviderUnavailableError:
        return ProviderUnavailableError(f"{self._name}: timed out after {self._timeout_s:g} s")


def retry_after_s(header: str | None, now: datetime) -> int:
    """Seconds to wait by a ``Retry-After`` header: seconds or an HTTP date, 1 s to a day.

    A minute where there is none or where it cannot be read.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        wait_s = int(text) if len(text) < 10 else _LONGEST_WAIT_S
    else:
        try:
            moment = parsedate_to_datetime(text)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            wait_s = round((aware - now).total_seconds())
        except (ValueError, OverflowError):
            wait_s = _MISSED_WAIT_S
    return min(max(wait_s, 1), _LONGEST_WAIT_S)


def _nothing(_constant: str) -> None:
    """NaN and Infinity are not JSON; read as null."""


def _cause(error: BaseException) -> str:
    """The innermost reason in a few words: libraries nest it and print addresses of objects."""
    chain = list(_nested(error))
    for one in reversed(chain):
        if isinstance(one, OSError) and isinstance(one.strerror, str):
            return f"cannot be reached: {one.strerror}"
    return f"the connection failed ({type(chain[-1]).__name__})"


def _nested(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
        error = next((one for one in inner if isinstance(one, BaseException)), None)
