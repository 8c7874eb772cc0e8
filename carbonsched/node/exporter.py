"""Answers Prometheus over HTTP, in one thread that the metering never waits for.

A server of our own, not the standard library's: that one has a thread for each connection and no
limit on how many or how slow they are.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from carbonsched.errors import ConfigError
from carbonsched.node.journal import Journal
from carbonsched.node.metrics import CONTENT_TYPE, Status, process_started_at, render

MOST_CONNECTIONS = 8
"""Beyond these the oldest is closed: nobody can keep Prometheus out by holding them open."""
PATIENCE_S = 5.0
"""How long one connection may take from its first byte to its last."""
LONGEST_REQUEST = 8192
QUEUE = 128
"""Connections that the kernel keeps until they are accepted."""

_PAGE = (
    "<!doctype html><title>carbonsched agent</title>"
    '<p>carbonsched agent: <a href="/metrics">metrics</a></p>\n'
)
_HTML = "text/html; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"


@dataclass(slots=True, eq=False)
class _Connection:
    """One client: its request as far as it came, what is left to send, and whether all is sent."""

    socket: socket.socket
    until: float
    request: bytes = b""
    answer: memoryview = field(default_factory=lambda: memoryview(b""))
    answered: bool = False


class Exporter:
    """Serves ``/metrics`` on ``HOST:PORT`` until stopped; a port of 0 takes any that is free."""

    def __init__(self, address: str, status: Callable[[], Status], journal: Journal) -> None:
        self._host, self._port = parse_address(address)
        self._address = address
        self._status = status
        self._journal = journal
        self._started_at = process_started_at()
        self._connections: list[_Connection] = []
        self._selector = selectors.DefaultSelector()
        self._stopping = threading.Event()
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="exporter", daemon=True)
        self._listener: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    def start(self) -> None:
        """Listen and serve.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        try:
            self._listener = _listen(self._host, self._port)
        except (OSError, UnicodeError) as error:
            self.stop()
            reason = getattr(error, "strerror", None) or "not a host's name"
            remedy = "name an address of this machine and a free port, HOST:PORT, or leave it out"
            raise ConfigError([f"agent.metrics {self._address}: {reason}; {remedy}"]) from None
        self._port = int(self._listener.getsockname()[1])
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Close everything; unfinished answers are cut off."""
        self._stopping.set()
        with suppress(OSError):  # closed already, where it could not start
            self._waker.send(b"x")
        if self._thread.is_alive():
            self._thread.join(PATIENCE_S)
        for connection in list(self._connections):
            self._close(connection)
        for one in (self._listener, self._wake, self._waker, self._selector):
            if one is not None:
                one.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve()
            except Exception as error:  # noqa: BLE001 - a fault here must not end the thread
                self._journal.trouble("metrics", f"/metrics: {type(error).__name__}: {error}")
                self._stopping.wait(1.0)  # whatever it is, it must not take a CPU

    def _serve(self) -> None:
        """What is ready now; then close what took too long."""
        for key, _ in self._selector.select(self._patience_left()):
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.data, _Connection) and key.data in self._connections:
                self._go_on(key.data)
        now = time.monotonic()
        for connection in [one for one in self._connections if one.until <= now]:
            self._close(connection)

    def _patience_left(self) -> float | None:
        if not self._connections:
            return None
        return max(0.0, self._connections[0].until - time.monotonic())

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            client, _ = self._listener.accept()
        except OSError:
            # Gone again, or no file descriptor left: then it stays ready, and must not spin.
            self._stopping.wait(0.1)
            return
        client.setblocking(False)  # noqa: FBT003 - the socket's own signature
        while len(self._connections) >= MOST_CONNECTIONS:
            self._close(self._connections[0])
        connection = _Connection(client, time.monotonic() + PATIENCE_S)
        self._connections.append(connection)
        self._selector.register(client, selectors.EVENT_READ, connection)

    def _go_on(self, connection: _Connection) -> None:
        """Take in more of the request, or send more of the answer."""
        try:
            if connection.answer:
                self._send(connection)
            else:
                self._receive(connection)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._close(connection)
        except Exception:
            self._close(connection)
            raise

    def _receive(self, connection: _Connection) -> None:
        more = connection.socket.recv(LONGEST_REQUEST)
        if not more:
            self._close(connection)
        elif not connection.answered:
            connection.request += more
            if b"\r\n\r\n" in connection.request or b"\n\n" in connection.request:
                self._begin_answer(connection, self._answer(connection.request))
            elif len(connection.request) > LONGEST_REQUEST:
                too_long = _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _PLAIN, "")
                self._begin_answer(connection, too_long)

    def _begin_answer(self, connection: _Connection, answer: bytes) -> None:
        connection.answer = memoryview(answer)
        self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)

    def _send(self, connection: _Connection) -> None:
        sent = connection.socket.send(connection.answer)
        connection.answer = connection.answer[sent:]
        if not connection.answer:
            # Closed by the client, else the rest of its request would have the kernel reset the
            # connection, and the answer with it.
            connection.answered = True
            connection.socket.shutdown(socket.SHUT_WR)
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)

    def _answer(self, request: bytes) -> bytes:
        words = request.partition(b"\n")[0].decode("latin-1").split()
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(HTTPStatus.BAD_REQUEST, _PLAIN, "not an HTTP request\n")
        method, target = words[0], words[1].partition("?")[0]
        body = method != "HEAD"
        if method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, _PLAIN, "GET and HEAD only\n")
        if target == "/metrics":
            text = render(self._status(), self._started_at)
            return _response(HTTPStatus.OK, CONTENT_TYPE, text, body=body)
        if target == "/":
            return _response(HTTPStatus.OK, _HTML, _PAGE, body=body)
        return _response(HTTPStatus.NOT_FOUND, _PLAIN, "there is /metrics\n", body=body)

    def _close(self, connection: _Connection) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()
        self._connections.remove(connection)


def parse_address(address: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[V6]:PORT``.

    Raises:
        ConfigError: it is neither.
    """
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""  # an address of version 6 without its brackets
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise ConfigError(
            [f"agent.metrics {address!r} is not HOST:PORT, for instance 127.0.0.1:9797"]
        )
    return host, int(port)


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # The port can be had again at once after a restart, though old connections linger.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(QUEUE)
        listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
    except OSError:
        listener.close()
        raise
    return listener


def _response(status: HTTPStatus, content_type: str, text: str, *, body: bool = True) -> bytes:
    content = text.encode("utf-8", errors="replace")
    allow = "Allow: GET, HEAD\r\n" if status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(content)}\r\n"
        f"{allow}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (content if body else b"")
