"""A service on this machine, scripted by a test.

    with Twin() as twin:
        twin.serve("/co2eq", lambda request: {"unix_seconds": [...], ...})
        provider = SomeProvider(base_url=twin.url, ...)

A route answers with a JSON document, a text, bytes or an ``Answer``. ``twin.alter`` changes every
document on its way out, ``twin.fault`` every exchange; both are None for a service that is well.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: ``query`` maps each name to its values, ``headers`` has lower-case names."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    line: str

    def one(self, name: str) -> str | None:
        """A parameter that stands once, or None."""
        values = self.query.get(name, [])
        assert len(values) < 2, f"{name} was given twice: {self.line}"
        return values[0] if values else None


@dataclass(slots=True)
class Answer:
    """What a route says; ``body`` is bytes, a text, or a JSON document."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"

    @property
    def raw(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body).encode()


class Wire:
    """The line to one client, for faults that write it themselves."""

    def __init__(self, handler: _Handler, stop: threading.Event) -> None:
        self._handler = handler
        self.stop = stop

    def send(self, answer: Answer, *, length: int | None = None) -> None:
        """A complete answer; ``length`` is what to promise where that is a lie."""
        raw = answer.raw
        self._handler.send_response(answer.status)
        self._handler.send_header("Content-Type", answer.content_type)
        if answer.status not in {204, 304}:
            self._handler.send_header("Content-Length", str(len(raw) if length is None else length))
        for name, value in answer.headers.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        if answer.status not in {204, 304}:
            self._handler.wfile.write(raw)

    def write(self, raw: bytes) -> None:
        self._handler.wfile.write(raw)

    def drip(self, head: bytes, drop: bytes, every_s: float) -> None:
        """A beginning, then a drop at a time until the client leaves or the test ends."""
        self.write(head)
        while not self.stop.wait(every_s):
            self.write(drop)

    def reset(self) -> None:
        """Break the connection as a crashed proxy does."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self._handler.connection.setsockopt(1, 13, linger)  # SOL_SOCKET, SO_LINGER
        self._handler.connection.close()


Respond = Callable[[Request], Any]
Break = Callable[[Wire, Request, Answer], None]


class Twin:
    """The server; routes are tried in the order they were given."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.twin = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._start()

    def _start(self) -> None:
        self.routes: list[tuple[str, Respond]] = []
        self.requests: list[Request] = []
        self.fault: Break | None = None
        self.alter: Callable[[Any], Any] | None = None
        self.etags = False
        self.stop = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self, path: str, respond: Respond) -> None:
        """Answer this path; one that ends with ``*`` is a beginning."""
        self.routes.append((path, respond))

    def reset(self) -> None:
        """As new: no routes, no faults, nothing asked; what still hangs is let go."""
        self.stop.set()
        self._start()

    def asked(self, path: str) -> list[Request]:
        """The requests to a path so far."""
        return [request for request in self.requests if _matches(path, request.path)]

    def _handle(self, handler: _Handler) -> None:
        parts = urlsplit(handler.path)
        request = Request(
            path=unquote(parts.path),
            query=parse_qs(parts.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in handler.headers.items()},
            line=handler.path,
        )
        self.requests.append(request)
        wire = Wire(handler, self.stop)
        answer = self._answer(request)
        if self.fault is not None:
            self.fault(wire, request, answer)
        else:
            wire.send(answer)

    def _answer(self, request: Request) -> Answer:
        for path, respond in self.routes:
            if _matches(path, request.path):
                told = respond(request)
                answer = told if isinstance(told, Answer) else _answer_of(told)
                return self._conditional(request, self._altered(answer))
        page = "<!DOCTYPE html><html><body>Cannot GET this</body></html>"
        return Answer(page, status=404, content_type="text/html")

    def _altered(self, answer: Answer) -> Answer:
        if self.alter is not None and answer.status == 200:
            answer.body = self.alter(copy.deepcopy(answer.body))
        return answer

    def _conditional(self, request: Request, answer: Answer) -> Answer:
        if not self.etags or answer.status != 200:
            return answer
        tag = f'"{hashlib.sha256(answer.raw).hexdigest()[:16]}"'
        if request.headers.get("if-none-match") == tag:
            return Answer(b"", status=304, headers={"ETag": tag})
        answer.headers["ETag"] = tag
        return answer


def _matches(path: str, asked: str) -> bool:
    return asked.startswith(path[:-1]) if path.endswith("*") else asked == path


def _answer_of(told: Any) -> Answer:
    if isinstance(told, str):
        kind = "application/xml" if told.lstrip().startswith("<") else "text/plain"
        return Answer(told, content_type=f"{kind}; charset=utf-8")
    return Answer(told)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    twin: Twin


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        # The client may have had enough: often the point of the test.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.server.twin._handle(self)

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_args: object) -> None:
        """Keep the tests' output clean."""
