"""The client towards servers that are slow, silent, verbose, or not ours."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from contextlib import closing

import pytest

from carbonsched.errors import (
    DaemonError,
    ExternalError,
    ForbiddenError,
    RequestError,
    TooLargeError,
)
from carbonsched.transport import client as transport
from carbonsched.transport.client import Client
from carbonsched.transport.munge import Munge


class AnyCredential:
    """In MUNGE's place: the servers here do not look at credentials."""

    def encode(self, payload):
        return payload.hex()


def whole_request(connection):
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536)
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: ([0-9]+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


class Wire:
    """A server that takes one connection and sends what it is told, piece by piece."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.request = b""
        self.stop = threading.Event()

    def serve(self, pieces, pause_s=0.0):
        def run():
            connection, _ = self.listener.accept()
            with connection:
                self.request = whole_request(connection)
                try:
                    for piece in pieces:
                        connection.sendall(piece)
                        if self.stop.wait(pause_s):
                            break
                except OSError:
                    pass  # the client has gone

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def client(self, timeout_s=5.0):
        return Client(
            f"http://127.0.0.1:{self.listener.getsockname()[1]}", AnyCredential(), timeout_s
        )

    def close(self):
        self.stop.set()
        self.thread.join(10)
        self.listener.close()


@pytest.fixture
def wire():
    server = Wire()
    yield server
    server.close()


def response(body, status="200 OK", length=None):
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode() + body


def test_questions_and_answers(wire):
    wire.serve([response(b'{"lines": ["a", "\xc3\xbc"]}')])
    assert wire.client().get("/v1/x", user="a b&c", none=None, n=0) == {"lines": ["a", "ü"]}
    head = wire.request.decode()
    assert head.startswith("GET /v1/x?user=a+b%26c&n=0 HTTP/1.1\r\n")
    assert "Authorization: MUNGE " in head


def test_an_argument_that_is_no_text_is_sent_all_the_same(wire):
    wire.serve([response(b"{}")])
    assert wire.client().get("/v1/x", user="a\udcff") == {}
    assert wire.request.startswith(b"GET /v1/x?user=a%3F HTTP/1.1\r\n")


def test_a_document_is_sent_with_its_length(wire):
    wire.serve([response(b"{}")])
    assert wire.client().post("/v1/x", {"a": "ü\n"}) == {}
    head, _, body = wire.request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"a": "ü\n"}


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>a proxy's page</html>", b"{", b"\xff\xfe", b"[" * 200_000, b'{"a": 1} {"b": 2}'],
)
def test_what_is_not_json_is_said_to_be_not(wire, body):
    wire.serve([response(body)])
    with pytest.raises(DaemonError, match="answered 200 with something that is not JSON"):
        wire.client().get("/v1/x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", RequestError),
        ("401 Unauthorized", ForbiddenError),
        ("403 Forbidden", ForbiddenError),
        ("404 Not Found", RequestError),
        ("409 Conflict", RequestError),
        ("413 Request Entity Too Large", TooLargeError),
        ("301 Moved", DaemonError),
        ("204 No Content", DaemonError),
        ("500 Internal Server Error", DaemonError),
        ("503 Service Unavailable", DaemonError),
    ],
)
@pytest.mark.parametrize(
    ("body", "said"),
    [({"error": "one line"}, "one line"), ({}, "the daemon answered"), ([], "the")],
)
def test_an_error_keeps_its_words_and_becomes_the_right_class(wire, status, kind, body, said):
    wire.serve([response(json.dumps(body).encode(), status)])
    with pytest.raises(kind) as caught:
        wire.client().get("/v1/x")
    assert type(caught.value) is kind
    expected = "answered 204" if status.startswith("204") else said
    assert expected in str(caught.value)


def broken(wire, pieces, pause_s=0.0, timeout_s=5.0, why="does not answer"):
    wire.serve(pieces, pause_s)
    began = time.monotonic()
    with pytest.raises(DaemonError, match=why) as caught:
        wire.client(timeout_s).get("/v1/x")
    assert "\n" not in str(caught.value)
    return time.monotonic() - began


def test_a_server_that_says_nothing_is_left_in_time(wire):
    assert broken(wire, [b""], pause_s=30, timeout_s=0.3, why="timed out") < 3


def test_a_server_that_stops_in_the_middle_is_left_in_time(wire):
    pieces = [response(b"{", length=100), b""]
    assert broken(wire, pieces, pause_s=30, timeout_s=0.3, why="timed out") < 3


def test_a_server_that_drips_is_left_in_time(wire):
    pieces = [response(b"[", length=10_000), *[b" "] * 10_000]
    took_s = broken(wire, pieces, pause_s=0.05, timeout_s=0.5, why="in the middle of its answer")
    assert took_s < 3


def test_a_server_that_hangs_up_is_said_to(wire):
    broken(wire, [])


def test_a_server_of_another_kind_is_said_to_be(wire):
    broken(wire, [b"SSH-2.0-OpenSSH_9.2\r\n"])


def test_a_flood_is_not_read_to_its_end(wire):
    piece = b" " * (1024 * 1024)
    flood = [response(b"[", length=10**12), *[piece] * (transport.MAX_ANSWER // len(piece) + 50)]
    broken(wire, flood, timeout_s=60, why="longer than")


def test_nobody_there_is_said_with_the_address():
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DaemonError, match=rf"127\.0\.0\.1:{port} does not answer .*refused"):
        Client(f"http://127.0.0.1:{port}", AnyCredential()).get("/v1/x")


@pytest.mark.parametrize("host", ["a" * 70, "no-such-host.invalid", "a..b"])
def test_a_host_that_cannot_be_found_is_said_to_be(host):
    with pytest.raises(DaemonError, match="does not answer"):
        Client(f"http://{host}:80", AnyCredential(), 2).get("/v1/x")


@pytest.mark.parametrize(
    "url",
    ["", "head:8470", "https://head", "http://", "http://:8470", "http://head:port",
     "http://head:99999", "http://[::1", "ftp://head"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_with_the_form(url):
    with pytest.raises(RequestError, match=r"is not a daemon's address; write http://HOST:PORT"):
        Client(url, AnyCredential())


def test_without_munged_nothing_is_asked(tmp_path):
    with pytest.raises(ExternalError, match="is munged running"):
        Client("http://127.0.0.1:9", Munge(str(tmp_path / "none"))).get("/v1/x")


@pytest.mark.parametrize(
    ("body", "said"), [(b'{"error": "at most 9 bytes"}', "at most 9"), (b"<html>", "a proxy")]
)
def test_a_body_that_is_refused_unread_is_told_as_too_large(body, said):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def refuse():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(response(body, "413 Request Entity Too Large"))

        thread = threading.Thread(target=refuse)
        thread.start()
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", AnyCredential(), 5.0)
        with pytest.raises(TooLargeError, match=said):
            client.post("/v1/x", "x" * 20_000_000)
        thread.join(10)
