"""The API as uvicorn serves it, over a backend that keeps what it was asked."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from carbonsched.transport.client import Client
from carbonsched.transport.munge import Munge
from carbonsched.transport.request import SCHEME, signed_payload
from carbonsched.web.app import create_app


@dataclass
class AskedBackend:
    """Answers every question with its name; raises ``error`` where one is set."""

    asked: list[tuple] = field(default_factory=list)
    error: Exception | None = None

    def __getattr__(self, name: str):
        def answer(*arguments: Any) -> dict[str, Any]:
            self.asked.append((name, *arguments))
            if self.error is not None:
                raise self.error
            return {"answer": name}

        return answer


@dataclass
class Service:
    backend: AskedBackend
    munge: Munge
    port: int

    @property
    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", self.munge, 10)

    def ask(self, method, path, body=None, headers=None, *, signed=None):
        """Status and document of a request; ``signed`` is what the credential is for."""
        headers = dict(headers or {})
        if signed is not None:
            headers["Authorization"] = f"{SCHEME} {self.munge.encode(signed_payload(*signed))}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def signed(self, method, path, body=b"", headers=None):
        return self.ask(method, path, body or None, headers, signed=(method, path, body))


@pytest.fixture(scope="session")
def running(munge_socket):
    backend, munge = AskedBackend(), Munge(munge_socket)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(backend, munge), log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    yield Service(backend, munge, listener.getsockname()[1])
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def service(running) -> Service:
    running.backend.asked.clear()
    running.backend.error = None
    return running
