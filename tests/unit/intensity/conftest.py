"""A settable clock, and a twin of NESO's service: a real HTTP server with every known fault."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from twin import Twin

FIXTURES = Path(__file__).parents[2] / "fixtures" / "intensity"
PERIOD_S = 1800


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> int:
        return self.at


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


class _Handler(BaseHTTPRequestHandler):
    server: TwinServer

    def do_GET(self) -> None:
        twin = self.server.twin
        twin.paths.append(self.path)
        # The client may have had enough: often the point of the test.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            twin.behaviour(self)

    def log_message(self, *_args: object) -> None:
        """Keep the tests' output clean."""

    def answer(self, body: bytes | Any, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", headers.pop("length", str(len(raw))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)


class TwinServer(ThreadingHTTPServer):
    daemon_threads = True
    twin: NesoTwin


class NesoTwin:
    """The service. ``actual`` and ``forecast`` are functions of a half-hour's start."""

    def __init__(self, clock: SetClock) -> None:
        self.clock = clock
        self.paths: list[str] = []
        self.stop = threading.Event()
        self.behaviour: Callable[[_Handler], None] = self.well
        self.actual: Callable[[int], int | None] = lambda at: 80 + at // PERIOD_S % 40
        self.forecast: Callable[[int], int | None] = lambda at: 100 + at // PERIOD_S % 40
        self._server = TwinServer(("127.0.0.1", 0), _Handler)
        self._server.twin = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def well(self, handler: _Handler) -> None:
        """As documented: the previous period first, null for what is not over."""
        words = handler.path.split("/")[2:]
        start_at = instant(words[0])
        end_at = start_at + 48 * 3600 if words[1] == "fw48h" else instant(words[1])
        first = start_at - start_at % PERIOD_S - (PERIOD_S if start_at % PERIOD_S == 0 else 0)
        handler.answer({"data": [self.row(at) for at in range(first, end_at, PERIOD_S)]})

    def row(self, at: int) -> dict[str, Any]:
        over = at + PERIOD_S <= self.clock.now()
        return {
            "from": _written(at),
            "to": _written(at + PERIOD_S),
            "intensity": {
                "forecast": self.forecast(at),
                "actual": self.actual(at) if over else None,
                "index": "low",
            },
        }

    def says(self, body: Any, status: int = 200, **headers: str) -> None:
        """From now on the same answer to everything."""
        self.behaviour = lambda handler: handler.answer(body, status, **headers)

    def drips(self, head: bytes, drop: bytes, every_s: float) -> None:
        """Write a beginning, then a drop at a time until the client leaves."""

        def drip(handler: _Handler) -> None:
            handler.wfile.write(head)
            while not self.stop.wait(every_s):
                handler.wfile.write(drop)

        self.behaviour = drip

    def sleeps(self) -> None:
        """Accept and say nothing."""
        self.behaviour = lambda _handler: time.sleep(0) if self.stop.wait(20) else None


def _written(at: int) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%MZ")


@pytest.fixture
def fixtures() -> Path:
    return FIXTURES


@pytest.fixture
def clock() -> SetClock:
    return SetClock(instant("2026-11-20T18:40Z"))


@pytest.fixture
def twin(clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[NesoTwin]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = NesoTwin(clock)
    yield made
    made.close()


@pytest.fixture(scope="module")
def _server() -> Iterator[Twin]:
    with Twin() as twin:
        yield twin


@pytest.fixture
def service(_server: Twin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Twin]:
    """A well-behaved service without routes."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    _server.reset()
    yield _server
    _server.stop.set()
