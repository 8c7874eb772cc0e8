from __future__ import annotations

import gzip
import socket
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import (
    ProviderError,
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.fetch import JsonFetcher, RateLimitedError, retry_after_s

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def fetcher(timeout_s=0.6, **more):
    return JsonFetcher(name="neso", timeout_s=timeout_s, **more)


def test_fractions_come_exactly_and_constants_as_null(twin):
    twin.says(b'{"a": 84.1, "b": 7, "c": NaN, "d": Infinity}')
    told = fetcher(timeout_s=5).get(twin.url)
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
        fetcher().get(twin.url)
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
    assert fetcher(timeout_s=5).get(twin.url) == {"data": [1, 2]}


def test_a_body_in_chunks_is_read(twin):
    chunks = b"".join(b"2\r\n%s\r\n" % part for part in (b"[1", b",2", b"] ")) + b"0\r\n\r\n"
    twin.behaviour = in_pieces(chunks, 3, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    assert fetcher(timeout_s=5).get(twin.url) == [1, 2]


@pytest.mark.parametrize("raw", [b"2\r\n[1\r\n", b"zz\r\n[1"], ids=["cut", "no number"])
def test_chunks_that_break_off(twin, raw):
    twin.behaviour = in_pieces(raw, 99, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(ProviderError, match=r"^neso: "):
        fetcher(timeout_s=5).get(twin.url)


def test_a_compressed_body_that_swells_ends_at_the_limit(twin):
    twin.says(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")
    with pytest.raises(ProviderMalformedError, match="larger than 4000000 bytes"):
        fetcher(timeout_s=20).get(twin.url)


def test_a_body_that_says_gzip_and_is_not(twin):
    twin.says(b"{}", Content_Encoding="gzip")
    with pytest.raises(ProviderUnavailableError, match="the connection failed"):
        fetcher(timeout_s=5).get(twin.url)


def test_while_a_request_hangs_there_is_no_second_thread(twin):
    twin.drips(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x", 0.05)
    slow = fetcher()
    with pytest.raises(ProviderUnavailableError, match="timed out"):
        slow.get(twin.url)
    with pytest.raises(ProviderUnavailableError, match="the last request has still not ended"):
        slow.get(twin.url)


def test_one_request_after_another_is_no_hanging_one(twin):
    twin.says([1])
    quick = fetcher(timeout_s=5)
    assert [quick.get(twin.url) for _ in range(20)] == [[1]] * 20


def test_silence_ends_at_the_deadline(twin):
    twin.sleeps()
    with pytest.raises(ProviderUnavailableError, match=r"timed out after 0\.6 s"):
        fetcher().get(twin.url)


def test_an_endless_body_ends_at_the_limit(twin):
    twin.drips(OK + b"\r\n", b"[" * 65_536, 0)
    with pytest.raises(ProviderMalformedError, match="larger than 4000000 bytes"):
        fetcher(timeout_s=20).get(twin.url)


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        with pytest.raises(ProviderUnavailableError) as caught:
            fetcher().get(url)
    assert str(caught.value) == "neso: cannot be reached: Connection refused"


def test_a_name_that_does_not_exist():
    with pytest.raises(ProviderUnavailableError, match=r"^neso: (cannot be reached: |timed out)"):
        fetcher(timeout_s=5).get("http://nowhere.invalid/")


@pytest.mark.parametrize("url", ["http://", "gopher://127.0.0.1/", "http://[::1/", "nonsense"])
def test_an_address_that_is_none_is_one_line(url):
    with pytest.raises(ProviderUnavailableError) as caught:
        fetcher(timeout_s=5).get(url)
    assert str(caught.value).startswith("neso: the connection failed")


def test_a_body_shorter_than_promised(twin):
    twin.says(b'{"data":[]}', length="4000")
    with pytest.raises(ProviderUnavailableError, match="the connection failed"):
        fetcher(timeout_s=5).get(twin.url)


def test_a_body_cut_without_a_promise(twin):
    twin.behaviour = lambda handler: handler.wfile.write(OK + b'\r\n{"data":[{"fr')
    with pytest.raises(ProviderMalformedError, match="not JSON"):
        fetcher(timeout_s=5).get(twin.url)


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
        fetcher(timeout_s=5).get(twin.url)


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
        fetcher(timeout_s=5).get(twin.url)
    assert caught.value.retryable == (error is not ProviderRefusedError)


def test_a_redirect_is_not_followed(twin):
    twin.says(b"", 302, Location=twin.url + "/elsewhere")
    with pytest.raises(ProviderRefusedError, match="a redirect: correct base_url"):
        fetcher(timeout_s=5).get(twin.url + "/here")
    assert twin.paths == ["/here"]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_passed_on(twin, status):
    twin.says(b"", status, Retry_After="120")
    with pytest.raises(RateLimitedError, match="not asked again for 120 s") as caught:
        fetcher(timeout_s=5).get(twin.url)
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
