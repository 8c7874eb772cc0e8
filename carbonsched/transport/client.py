"""A small HTTP client for the daemon, on the standard library."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from carbonsched.errors import DaemonError, ForbiddenError, RequestError
from carbonsched.transport.munge import Munge
from carbonsched.transport.request import SCHEME, signed_payload

MAX_ANSWER = 64 * 1024 * 1024


class Client:
    """Asks one daemon as the user of this process.

    ``timeout_s`` bounds connecting and each wait for an answer. A proxy is never used.
    """

    def __init__(self, url: str, munge: Munge, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise RequestError(f"{url!r} is not a daemon's address; write http://HOST:PORT")
        self._host, self._port = parts.hostname, parts.port or 80
        self._munge = munge
        self._timeout_s = timeout_s

    def get(self, path: str, **query: str | int | None) -> Any:
        """The JSON that ``GET path?query`` answers; parameters of ``None`` are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path, b"")

    def post(self, path: str, document: Any) -> Any:
        """The JSON that ``POST path`` answers to a JSON document."""
        return self._ask("POST", path, json.dumps(document).encode())

    def _ask(self, method: str, path: str, body: bytes) -> Any:
        credential = self._munge.encode(signed_payload(method, path, body))
        headers = {"Authorization": f"{SCHEME} {credential}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            text = response.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise DaemonError(
                f"the carbonsched daemon at {self._host}:{self._port} does not answer ({error})"
            ) from None
        finally:
            connection.close()
        return _interpret(response.status, text)


def _interpret(status: int, text: bytes) -> Any:
    try:
        answer = json.loads(text)
    except ValueError:
        raise DaemonError(f"the daemon answered {status} with something that is not JSON") from None
    if status == http.client.OK:
        return answer
    message = answer.get("error") if isinstance(answer, dict) else None
    message = message or f"the daemon answered {status}"
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        raise ForbiddenError(message)
    if http.client.BAD_REQUEST <= status < http.client.INTERNAL_SERVER_ERROR:
        raise RequestError(message)
    raise DaemonError(message)
