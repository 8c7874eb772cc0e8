"""A server that speaks as Prometheus does, over real HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest


class Prometheus:
    """Range queries over one function of time; ``says`` puts another answer in their place."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.value = lambda _at: "1.25"
        self.answer: tuple[int, bytes] | None = None
        self.stop = threading.Event()
        twin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    twin.handle(self)

            def log_message(self, *_args) -> None:
                """Keep the tests' output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def says(self, document, status=200) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answer = (status, body)

    def matrix(self, *series) -> dict:
        result = [{"metric": metric, "values": values} for metric, values in series]
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}

    def hangs(self) -> None:
        self.answer = (0, b"")

    def handle(self, handler) -> None:
        parts = urlsplit(handler.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(asked | {"path": parts.path})
        if self.answer is not None:
            status, body = self.answer
            if not status:
                self.stop.wait(20)
                return
        else:
            status, body = 200, json.dumps(self._range(asked)).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _range(self, asked) -> dict:
        first, last, step = (int(asked[name]) for name in ("start", "end", "step"))
        values = [
            [at, text]
            for at in range(first, last + 1, step)
            if (text := self.value(at)) is not None
        ]
        return self.matrix(({}, values)) if values else self.matrix()

    def close(self) -> None:
        if self.stop.is_set():
            return
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def prometheus():
    server = Prometheus()
    yield server
    server.close()
