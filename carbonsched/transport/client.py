"""A small HTTP client for the daemon, on the standard library."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from carbonsched.errors import DaemonError, ForbiddenError, RequestError, TooLargeError
from carbonsched.transport.munge import Munge
from carbonsched.transport.request import SCHEME, signed_payload

MAX_ANSWER = 64 * 1024 * 1024
_PIECE = 64 * 1024


class Client:
    """Asks one daemon as the user of this process.

    ``timeout_s`` bounds connecting, each wait for an answer, and receiving the whole of it. A
    proxy is never used.
    """

    def __init__(self, url: str, munge: Munge, timeout_s: float = 10.0) -> None:
        self._host, self._port = _address(url)
        self._munge = munge
        self._timeout_s = timeout_s

    def get(self, path: str, **query: str | int | None) -> Any:
        """The JSON that ``GET path?query`` answers; parameters of ``None`` are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        words = urlencode(given, errors="replace")  # arguments may be bytes that are no text
        return self._ask("GET", f"{path}?{words}" if words else path, b"")

    def post(self, path: str, document: Any) -> Any:
        """The JSON that ``POST path`` answers to a JSON document."""
        return self._ask("POST", path, json.dumps(document).encode())

    def _ask(self, method: str, path: str, body: bytes) -> Any:
        credential = self._munge.encode(signed_payload(method, path, body))
        headers = {"Authorization": f"{SCHEME} {credential}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.connect()
            # A server that refuses a body by its length closes before it has read it all; its
            # answer is there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            text = self._whole(response)
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            why = " ".join(str(error).split())  # it may quote what the other side has sent
            raise DaemonError(
                f"the carbonsched daemon at {self._host}:{self._port} does not answer ({why})"
            ) from None
        finally:
            connection.close()
        return _interpret(response.status, text)

    def _whole(self, response: http.client.HTTPResponse) -> bytes:
        """The answer's body, from a server that must neither drip nor flood."""
        until = time.monotonic() + self._timeout_s
        parts: list[bytes] = []
        size = 0
        while part := response.read1(_PIECE):
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER:
                raise OSError(f"its answer is longer than {MAX_ANSWER} bytes")
            if time.monotonic() > until:
                raise TimeoutError("timed out in the middle of its answer")
        return b"".join(parts)


def _address(url: str) -> tuple[str, int]:
    with suppress(ValueError):  # brackets that do not match, a port that is not one
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname:
            return parts.hostname, parts.port or 80
    raise RequestError(f"{url!r} is not a daemon's address; write http://HOST:PORT")


def _interpret(status: int, text: bytes) -> Any:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        if status == http.client.REQUEST_ENTITY_TOO_LARGE:
            raise TooLargeError("a proxy before the daemon takes no request of this size") from None
        raise DaemonError(f"the daemon answered {status} with something that is not JSON") from None
    if status == http.client.OK:
        return answer
    message = answer.get("error") if isinstance(answer, dict) else None
    message = message or f"the daemon answered {status}"
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        raise ForbiddenError(message)
    if status == http.client.REQUEST_ENTITY_TOO_LARGE:
        raise TooLargeError(message)
    if http.client.BAD_REQUEST <= status < http.client.INTERNAL_SERVER_ERROR:
        raise RequestError(message)
    raise DaemonError(message)
