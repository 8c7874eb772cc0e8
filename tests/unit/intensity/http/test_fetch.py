from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import threading
import time
from base64 import b64encode
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin import Answer

from carbonsched.errors import (
    ProviderError,
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.http.fetch import Fetcher, RefusedStatusError
from carbonsched.intensity.http.secret import Secret
from carbonsched.intensity.http.silence import RateLimitedError, Silence
from carbonsched.intensity.http.words import retry_after_s

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def fetcher(timeout_s=0.6, **more):
    return Fetcher(name="neso", timeout_s=timeout_s, **more)


def test_fractions_come_exactly_and_constants_as_null(twin):
    twin.says(b'{"a": 84.1, "b": 7, "c": NaN, "d": Infinity}')
    told = fetcher(timeout_s=5).json(twin.url)
    assert told == {"a": Decimal("84.1"), "b": 7, "c": None, "d": None}


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nX-Endless: ", OK + b"\r\n{", OK + b"Content-Length: 99999\r\n\r\n{"],
    ids=["before the status", "in a header", "in a body", "in a promised body"],
)
def test_a_drip_ends_at_the_deadline(twin, head):
    twin.drips(head, b" ", 0.05)
    began = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match=r"^neso: timed out after 0\.6 s$"):
        fetcher().json(twin.url)
    assert time.monotonic() - began < 3


def in_pieces(raw, size, head):
    """A behaviour that sends ``raw`` a piece at a time, each on its own."""

    def send(handler):
        handler.wfile.write(head)
        for at in range(0, len(raw), size):
            handler.wfile.write(raw[at : at + size])
            handler.wfile.flush()
            time.sleep(0.002)

    return send


def test_a_body_compressed_unasked_and_in_pieces_is_read(twin):
    raw = gzip.compress(b'{"data": [1, 2]}')
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(raw)
    twin.behaviour = in_pieces(raw, 1, head)
    assert fetcher(timeout_s=5).json(twin.url) == {"data": [1, 2]}


def test_a_body_in_chunks_is_read(twin):
    chunks = b"".join(b"2\r\n%s\r\n" % part for part in (b"[1", b",2", b"] ")) + b"0\r\n\r\n"
    twin.behaviour = in_pieces(chunks, 3, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    assert fetcher(timeout_s=5).json(twin.url) == [1, 2]


@pytest.mark.parametrize("raw", [b"2\r\n[1\r\n", b"zz\r\n[1"], ids=["cut", "no number"])
def test_chunks_that_break_off(twin, raw):
    twin.behaviour = in_pieces(raw, 99, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(ProviderError, match=r"^neso: "):
        fetcher(timeout_s=5).json(twin.url)


def test_a_compressed_body_that_swells_ends_at_the_limit(twin):
    twin.says(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")
    with pytest.raises(ProviderMalformedError, match="larger than 4000000 bytes"):
        fetcher(timeout_s=20).json(twin.url)


def test_a_body_that_says_gzip_and_is_not(twin):
    twin.says(b"{}", Content_Encoding="gzip")
    with pytest.raises(ProviderUnavailableError, match="the connection failed"):
        fetcher(timeout_s=5).json(twin.url)


def test_while_a_request_hangs_there_is_no_second_thread(twin, clock, monkeypatch):
    """Nothing ends a name look-up from outside."""
    let_go, known = threading.Event(), socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *words, **more: let_go.wait(20) and known(*words, **more)
    )
    twin.says([1])
    slow = fetcher(silence=Silence(clock))
    with pytest.raises(ProviderUnavailableError, match="timed out"):
        slow.json(twin.url)
    for _ in range(3):
        clock.at += 1
        with pytest.raises(ProviderUnavailableError, match="the last request has still not ended"):
            slow.json(twin.url)
    let_go.set()
    wait_for_the_end()
    assert slow.json(twin.url) == [1]


def wait_for_the_end():
    """Until no thread of ours is left; the test fails where one stays for two seconds."""
    until = time.monotonic() + 2
    while any(one.name == "fetch-neso" for one in threading.enumerate()):
        assert time.monotonic() < until, "a thread is still at work"
        time.sleep(0.01)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX-Endless: "])
def test_a_request_that_drips_ends_with_its_time_and_the_next_is_answered(twin, clock, head):
    twin.drips(head, b" ", 0.05)
    slow = fetcher(silence=Silence(clock))
    with pytest.raises(ProviderUnavailableError, match="timed out"):
        slow.json(twin.url)
    wait_for_the_end()
    twin.says([1])
    clock.at += 1
    assert slow.json(twin.url) == [1]


def test_one_request_after_another_is_no_hanging_one(twin):
    twin.says([1])
    quick = fetcher(timeout_s=5)
    assert [quick.json(twin.url) for _ in range(20)] == [[1]] * 20


def test_silence_ends_at_the_deadline(twin):
    twin.sleeps()
    with pytest.raises(ProviderUnavailableError, match=r"timed out after 0\.6 s"):
        fetcher().json(twin.url)


def test_an_endless_body_ends_at_the_limit(twin):
    twin.drips(OK + b"\r\n", b"[" * 65_536, 0)
    with pytest.raises(ProviderMalformedError, match="larger than 4000000 bytes"):
        fetcher(timeout_s=20).json(twin.url)


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        with pytest.raises(ProviderUnavailableError) as caught:
            fetcher().json(url)
    assert str(caught.value) == "neso: cannot be reached: Connection refused"


def test_a_name_that_does_not_exist():
    with pytest.raises(ProviderUnavailableError, match=r"^neso: (cannot be reached: |timed out)"):
        fetcher(timeout_s=5).json("http://nowhere.invalid/")


@pytest.mark.parametrize("url", ["http://", "gopher://127.0.0.1/", "http://[::1/", "nonsense"])
def test_an_address_that_is_none_is_one_line(url):
    with pytest.raises(ProviderUnavailableError) as caught:
        fetcher(timeout_s=5).json(url)
    assert str(caught.value).startswith("neso: the connection failed")


def test_a_body_shorter_than_promised(twin):
    twin.says(b'{"data":[]}', length="4000")
    with pytest.raises(ProviderUnavailableError, match="the connection failed"):
        fetcher(timeout_s=5).json(twin.url)


def test_a_body_cut_without_a_promise(twin):
    twin.behaviour = lambda handler: handler.wfile.write(OK + b'\r\n{"data":[{"fr')
    with pytest.raises(ProviderMalformedError, match="not JSON"):
        fetcher(timeout_s=5).json(twin.url)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!doctype html><p>Maintenance", "HTML"),
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"1" * 5000, "not JSON"),
    ],
    ids=["html", "empty", "bytes", "deep", "long number"],
)
def test_what_is_not_json(twin, body, kind):
    twin.says(body)
    with pytest.raises(ProviderMalformedError, match=kind):
        fetcher(timeout_s=5).json(twin.url)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, ProviderRefusedError),
        (400, ProviderRefusedError),
        (401, ProviderRefusedError),
        (403, ProviderRefusedError),
        (404, ProviderRefusedError),
        (408, ProviderUnavailableError),
        (429, RateLimitedError),
        (500, ProviderUnavailableError),
        (503, ProviderUnavailableError),
        (204, ProviderUnavailableError),
    ],
)
def test_each_status_has_its_error(twin, status, error):
    twin.says(b"", status)
    with pytest.raises(error, match=f"answered with status {status}") as caught:
        fetcher(timeout_s=5).json(twin.url)
    assert caught.value.retryable == (error is not ProviderRefusedError)


def test_a_redirect_is_not_followed(twin):
    twin.says(b"", 302, Location=twin.url + "/elsewhere")
    with pytest.raises(ProviderRefusedError, match="a redirect: correct base_url"):
        fetcher(timeout_s=5).json(twin.url + "/here")
    assert twin.paths == ["/here"]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_passed_on(twin, status):
    twin.says(b"", status, Retry_After="120")
    with pytest.raises(RateLimitedError, match="not asked again for 120 s") as caught:
        fetcher(timeout_s=5).json(twin.url)
    assert caught.value.wait_s == 120


NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("120", 120),
        ("0", 1),
        ("Fri, 20 Nov 2026 18:05:00 GMT", 300),
        ("Fri, 20 Nov 2026 17:00:00 -0000", 1),
        ("Fri, 20 Nov 2099 17:00:00 GMT", 86_400),
        ("9" * 50, 86_400),
        ("soon", 60),
        ("-5", 60),
        ("", 60),
        (None, 60),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds(header, wait_s):
    assert retry_after_s(header, NOW) == wait_s


@given(st.text(max_size=40))
def test_any_retry_after_is_a_bounded_wait(header):
    assert 1 <= retry_after_s(header, NOW) <= 86_400


# What follows speaks to the scripted twin.


def twinned(service, clock=None, **more):
    silence = None if clock is None else Silence(clock)
    return Fetcher(name="x", timeout_s=5, silence=silence, **more), service.url + "/a"


def test_parameters_and_secrets_go_over_the_wire_and_are_seen_nowhere(service, caplog):
    caplog.set_level(logging.DEBUG)
    service.serve("/a", lambda request: {"got": request.query})
    fetch, url = twinned(service)
    secret = Secret("s3cr3t-&=#")
    told = fetch.json(url, {"key": secret, "n": 5}, {"X-Key": Secret("t0k3n")}, ("me", secret))
    assert told == {"got": {"key": ["s3cr3t-&=#"], "n": ["5"]}}
    headers = service.requests[0].headers
    assert headers["x-key"] == "t0k3n"
    assert headers["authorization"] == "Basic " + b64encode(b"me:s3cr3t-&=#").decode()
    assert "s3cr3t" not in caplog.text
    assert "t0k3n" not in caplog.text
    assert "s3cr3t" not in repr(vars(fetch)) + repr(fetch._kept._answers)


def test_odd_headers_of_an_answer_do_not_print_the_address(service, caplog):
    """urllib3 warns of headers that it cannot parse, with the whole address."""
    caplog.set_level(logging.DEBUG)
    head = b"HTTP/1.1 200 OK\r\nNo colon here\r\nContent-Length: 2\r\n\r\n{}"
    service.fault = lambda wire, _request, _answer: wire.write(head)
    fetch, url = twinned(service)
    with contextlib.suppress(ProviderError):
        fetch.json(url, {"key": Secret("s3cr3t")})
    assert len(service.requests) == 1
    assert "s3cr3t" not in caplog.text


def test_a_netrc_does_not_replace_our_credentials(service, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login them password theirs\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    service.serve("/a", lambda _request: [])
    fetch, url = twinned(service)
    fetch.json(url, headers={"Authorization": Secret("Bearer mine")})
    fetch.json(url)
    assert [one.headers.get("authorization") for one in service.requests] == ["Bearer mine", None]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "k3y is wrong"}, " (*** is wrong)"),
        ({"error": {"code": "API_KEY_INVALID", "message": "bad k3y"}}, " (bad ***)"),
        ({"status": "error", "message": "Zone 'XX' does not exist."}, " (Zone 'XX' does not"),
        ({"title": "ArgumentException", "detail": "Invalid parameters"}, " (Invalid parameters)"),
        ("Jwt is missing", " (Jwt is missing)"),
        ("<html><p>k3y</html>", ": correct"),
        ({"detail": [{"msg": "k3y"}]}, ": correct"),
        ("a" * 500, ": correct"),
        ("two\nlines", ": correct"),
    ],
)
def test_the_reason_of_a_refusal_is_short_and_without_the_key(service, body, reason):
    service.serve("/a", lambda _request: Answer(body, 403))
    fetch, url = twinned(service)
    with pytest.raises(RefusedStatusError) as caught:
        fetch.json(url, {"api_key": Secret("k3y")})
    assert str(caught.value).startswith(f"x: answered with status 403{reason}")
    assert "k3y" not in str(caught.value)
    assert caught.value.status == 403
    assert len(caught.value.body) <= 4096


def test_only_what_changed_is_sent_again(service):
    service.etags = True
    service.serve("/a", lambda _request: {"n": 1})
    fetch, url = twinned(service)
    assert [fetch.json(url) for _ in range(3)] == [{"n": 1}] * 3
    assert ["if-none-match" in one.headers for one in service.requests] == [False, True, True]
    service.routes.clear()
    service.serve("/a", lambda _request: {"n": 2})
    assert fetch.json(url) == {"n": 2}
    fetch.forget(url)
    fetch.json(url)
    assert "if-none-match" not in service.requests[-1].headers


def test_last_modified_serves_as_well(service):
    def respond(request):
        when = "Fri, 20 Nov 2026 18:00:00 GMT"
        if request.headers.get("if-modified-since") == when:
            return Answer(b"", 304)
        return Answer([7], headers={"Last-Modified": when})

    service.serve("/a", respond)
    fetch, url = twinned(service)
    assert [fetch.json(url) for _ in range(2)] == [[7], [7]]


def test_a_body_that_cannot_be_read_is_not_kept(service):
    service.etags = True
    service.serve("/a", lambda _request: "Soon")
    fetch, url = twinned(service)
    for _ in range(2):
        with pytest.raises(ProviderMalformedError):
            fetch.json(url, fresh_s=600)
    assert ["if-none-match" in one.headers for one in service.requests] == [False, False]


def test_a_fresh_answer_is_given_again_unasked(service, clock):
    service.serve("/a", lambda request: {"n": len(service.requests), "q": request.query})
    fetch, url = twinned(service, clock)
    first = fetch.json(url, {"q": 1}, fresh_s=60)
    clock.at += 59
    assert fetch.json(url, {"q": 1}, fresh_s=60) == first
    assert fetch.json(url, {"q": 2}, fresh_s=60) != first
    clock.at += 1
    assert fetch.json(url, {"q": 1}, fresh_s=60)["n"] == 3


@pytest.mark.parametrize(("header", "wait_s"), [({}, 600), ({"Retry-After": "30"}, 30)])
def test_a_busy_service_is_left_alone(service, clock, header, wait_s):
    service.serve("/a", lambda _request: Answer(b"", 429, dict(header)))
    fetch, url = twinned(service, clock, busy_s=600)
    for _ in range(3):
        with pytest.raises(RateLimitedError) as caught:
            fetch.json(url)
        assert caught.value.wait_s == wait_s
    assert len(service.requests) == 1
    clock.at += wait_s
    with pytest.raises(RateLimitedError):
        fetch.json(url)
    assert len(service.requests) == 2


def test_statuses_that_are_answers(service):
    service.serve("/a", lambda _request: Answer("<Ack/>", 400))
    service.serve("/nothing", lambda _request: Answer(b"", 204))
    fetch, url = twinned(service)
    assert fetch.text(url, also={400}) == "<Ack/>"
    with pytest.raises(RefusedStatusError):
        fetch.text(url)
    assert fetch.json(service.url + "/nothing", empty_ok=True) is None
    with pytest.raises(ProviderUnavailableError, match="status 204"):
        fetch.json(service.url + "/nothing")


@pytest.mark.parametrize(
    ("raw", "kind", "told"),
    [
        (b"Zeit,g\n", "text/csv", "Zeit,g\n"),
        ("\ufeffé".encode(), "text/csv", "é"),
        ("é".encode("latin-1"), "text/csv; charset=iso-8859-1", "é"),
        ("é".encode("latin-1"), "text/csv", None),
        (b"x", "text/csv; charset=klingon", None),
        (b" <!DOCTYPE HTML><p>", "text/csv", None),
    ],
)
def test_text_by_its_charset(service, raw, kind, told):
    service.serve("/a", lambda _request: Answer(raw, content_type=kind))
    fetch, url = twinned(service)
    if told is None:
        with pytest.raises(ProviderMalformedError, match=r"^x: answered with (HTML|text in)"):
            fetch.text(url)
    else:
        assert fetch.text(url) == told


def test_a_dead_service_is_waited_for_once(service, clock):
    service.fault = lambda wire, _request, _answer: wire.reset()
    fetch, url = twinned(service, clock)
    for words in ("the connection failed|cannot be reached", "could not be reached a moment ago"):
        with pytest.raises(ProviderUnavailableError, match=words):
            fetch.json(url)
    assert len(service.requests) == 1
    clock.at += 5  # as long as a request may take
    service.fault = None
    service.serve("/a", lambda _request: [1])
    assert fetch.json(url) == [1]


@pytest.mark.parametrize(("after_s", "requests"), [(0.0, 2), (0.6, 1)])
def test_a_failure_that_was_long_in_coming_is_waited_for_once(service, clock, after_s, requests):
    """One at once may be of that question alone, and keeps no other zone from its answer."""

    def fail(_request):
        time.sleep(after_s)
        return Answer(b"", 504)

    service.serve("/a", fail)
    fetch, url = twinned(service, clock)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError):
            fetch.json(url)
    assert len(service.requests) == requests
    clock.at += 5
    with pytest.raises(ProviderUnavailableError, match="status 504"):
        fetch.json(url)


ECHOED = "0f8fad5b-d9cb/469f+a165=="


@pytest.mark.parametrize(
    "echo",
    [
        {"error": "x" * 140 + f" key {ECHOED} is not valid"},
        {"error": "key 0f8fad5b-d9cb%2F469f%2Ba165%3D%3D is not valid"},
        {"error": "key 0f8fad5b-d9cb/469f%2Ba165%3D%3D is not valid"},
        {"message": "Basic " + b64encode(f"ada:{ECHOED}".encode()).decode() + " is refused"},
        f"Jwt {ECHOED} is expired",
    ],
    ids=["across the cut", "quoted", "quoted as a path", "credentials", "plain"],
)
def test_no_form_of_a_secret_is_left_of_what_a_service_echoes(service, echo):
    service.serve("/x", lambda _request: Answer(echo, 403))
    auth = ("ada", Secret(ECHOED))
    with pytest.raises(ProviderRefusedError) as caught:
        fetcher(timeout_s=5).json(f"{service.url}/x", {"key": Secret(ECHOED)}, auth=auth)
    assert "status 403" in str(caught.value)
    assert "0f8fad5b" not in str(caught.value)
    assert b64encode(b"ada:0f8fad5b").decode()[:14] not in str(caught.value)
