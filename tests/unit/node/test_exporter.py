from __future__ import annotations

import http.client
import socket
import threading
import time

import pytest

from carbonsched.errors import ConfigError
from carbonsched.node import exporter as module
from carbonsched.node.exporter import MOST_CONNECTIONS, Exporter
from carbonsched.node.metrics import CONTENT_TYPE, Status


@pytest.fixture
def status(tmp_path):
    return Status(node="n1", meter="m", spool=tmp_path, samples=3)


@pytest.fixture
def serving(status, journal):
    exporter = Exporter("127.0.0.1:0", lambda: status, journal)
    exporter.start()
    yield exporter
    exporter.stop()


def ask(exporter, method="GET", path="/metrics", host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, exporter.port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def rest(client):
    """Everything until the server closes."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass  # closed with something of ours unread, or of its own unsent
    return b"".join(parts)


def raw(exporter, request):
    with socket.create_connection(("127.0.0.1", exporter.port), timeout=5) as client:
        client.sendall(request)
        return rest(client)


def test_metrics_are_served(serving):
    status, headers, text = ask(serving)
    assert status == 200
    assert headers["Content-Type"] == CONTENT_TYPE
    assert int(headers["Content-Length"]) == len(text)
    assert "carbonsched_samples_total 3\n" in text
    assert ask(serving, path="/metrics?x=1")[0] == 200


def test_a_head_has_the_headers_alone(serving):
    status, headers, text = ask(serving, "HEAD")
    assert (status, text) == (200, "")
    assert int(headers["Content-Length"]) > 100


def test_the_front_page_leads_to_the_metrics(serving):
    status, headers, text = ask(serving, path="/")
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    assert '<a href="/metrics">' in text


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", "/other", 404), ("GET", "/metrics/", 404), ("HEAD", "/x", 404),
     ("POST", "/metrics", 405), ("DELETE", "/", 405)],
)  # fmt: skip
def test_nothing_else_is_served(serving, method, path, code):
    answered, headers, _ = ask(serving, method, path)
    assert answered == code
    assert headers.get("Allow") == ("GET, HEAD" if code == 405 else None)


@pytest.mark.parametrize(
    ("request_", "code"),
    [(b"hello\r\n\r\n", b"400"), (b"GET /metrics FTP/1.0\n\n", b"400"),
     (b"\xff\xfe \x00 HTTP/1.1\r\n\r\n", b"405"), (b"GET /metrics HTTP/1.0\n\n", b"200"),
     (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431")],
)  # fmt: skip
def test_odd_requests_get_an_answer(serving, log, request_, code):
    answer = raw(serving, request_)
    assert answer.startswith(b"HTTP/1.1 " + code), (answer, log.getvalue())


def test_a_request_may_come_in_pieces(serving):
    with socket.create_connection(("127.0.0.1", serving.port), timeout=5) as client:
        for piece in (b"GET /met", b"rics HT", b"TP/1.1\r\n", b"Host: x\r\n", b"\r\n"):
            client.sendall(piece)
            assert ask(serving)[0] == 200
        assert client.recv(12) == b"HTTP/1.1 200"


def test_silent_clients_are_cut_off_and_keep_nobody_out(serving, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    began = time.monotonic()
    idle = [
        socket.create_connection(("127.0.0.1", serving.port), timeout=5)
        for _ in range(3 * MOST_CONNECTIONS)
    ]
    try:
        assert ask(serving)[0] == 200
        assert all(client.recv(1) == b"" for client in idle)
    finally:
        for client in idle:
            client.close()
    assert time.monotonic() - began < 4


def test_a_client_that_does_not_read_is_cut_off(status, journal, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 1.0)
    monkeypatch.setattr(module, "render", lambda *_: "x" * 20_000_000)
    exporter = Exporter("127.0.0.1:0", lambda: status, journal)
    exporter.start()
    try:
        with socket.create_connection(("127.0.0.1", exporter.port), timeout=5) as slow:
            slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert slow.recv(12) == b"HTTP/1.1 200"
            assert ask(exporter, path="/")[0] == 200  # others do not wait for it
            deadline = time.monotonic() + 20
            while exporter._connections and time.monotonic() < deadline:
                time.sleep(0.02)
            assert exporter._connections == []
            assert len(rest(slow)) < 20_000_000
    finally:
        exporter.stop()


def test_a_fault_in_a_scrape_is_told_and_the_next_one_is_served(status, journal, log):
    answers = [RuntimeError("odd"), status]

    def snapshot():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    exporter = Exporter("127.0.0.1:0", snapshot, journal)
    exporter.start()
    try:
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            ask(exporter)
        assert ask(exporter)[0] == 200
    finally:
        exporter.stop()
    assert "/metrics: RuntimeError: odd" in log.getvalue()


def test_scrapes_see_the_latest_snapshot(status, journal, tmp_path):
    current = [status]
    exporter = Exporter("127.0.0.1:0", lambda: current[0], journal)
    exporter.start()
    try:
        for samples in (4, 5):
            current[0] = Status(node="n1", meter="m", spool=tmp_path, samples=samples)
            assert f"carbonsched_samples_total {samples}\n" in ask(exporter)[2]
    finally:
        exporter.stop()


def test_the_port_is_free_again_at_once_and_the_thread_ends(status, journal):
    threads = threading.active_count()
    first = Exporter("127.0.0.1:0", lambda: status, journal)
    first.start()
    assert ask(first)[0] == 200
    first.stop()
    assert threading.active_count() == threads
    second = Exporter(f"127.0.0.1:{first.port}", lambda: status, journal)
    second.start()
    try:
        assert ask(second)[0] == 200
    finally:
        second.stop()


def test_version_six(status, journal):
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no ::1 ({error.strerror})")
    exporter = Exporter("[::1]:0", lambda: status, journal)
    exporter.start()
    try:
        assert ask(exporter, host="::1")[0] == 200
    finally:
        exporter.stop()


@pytest.mark.parametrize(
    "address", ["", "9797", ":9797", "::1:9797", "a:b", "h:-1", "h:65536", "h:"]
)
def test_an_address_that_is_none_is_refused(status, journal, address):
    with pytest.raises(ConfigError, match="is not HOST:PORT, for instance"):
        Exporter(address, lambda: status, journal)


def test_an_address_in_use_is_refused_with_a_remedy(serving, status, journal):
    second = Exporter(f"127.0.0.1:{serving.port}", lambda: status, journal)
    with pytest.raises(ConfigError, match=r"Address already in use; name .* a free port"):
        second.start()
    assert ask(serving)[0] == 200


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a..b"])
def test_an_address_of_another_machine_is_refused(status, journal, host):
    with pytest.raises(ConfigError, match=r"name an address of this machine"):
        Exporter(f"{host}:0", lambda: status, journal).start()
