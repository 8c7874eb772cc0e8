"""What real services and the machines before them have done wrong, one by one.

Each fault takes the answer that the service would have given and does to it what its name says.
``outcome`` is what a provider may make of it: ``right`` the same points as ever, ``error`` one
line. ``slow`` ones end by the client's own time limit.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from twin.server import Answer, Request, Wire

HTML = "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Soon</body></html>"
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
KEY = "k3y-n0b0dy-may-see-4711"
"""Given to every provider under test, echoed by some faults, never to be seen again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A thing that goes wrong on the wire."""

    name: str
    act: Callable[[Wire, Request, Answer], None]
    outcome: Literal["right", "error"] = "error"
    slow: bool = False

    def __call__(self, wire: Wire, request: Request, answer: Answer) -> None:
        self.act(wire, request, answer)


def says(body: object, status: int = 200, kind: str | None = None, **headers: str) -> Callable:
    """The same answer whatever was asked."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    more = {} if kind is None else {"content_type": kind}
    return lambda wire, _request, _answer: wire.send(Answer(body, status, dict(named), **more))


def _with(**changes: object) -> Callable:
    """The right answer with something changed in it."""

    def act(wire: Wire, _request: Request, answer: Answer) -> None:
        for name, value in changes.items():
            setattr(answer, name, value(answer) if callable(value) else value)
        wire.send(answer)

    return act


def _gzipped(wire: Wire, _request: Request, answer: Answer) -> None:
    answer.body = gzip.compress(answer.raw)
    answer.headers["Content-Encoding"] = "gzip"
    wire.send(answer)


def _chunked(wire: Wire, _request: Request, answer: Answer) -> None:
    raw = answer.raw
    kind = answer.content_type.encode()
    wire.write(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: " + kind + b"\r\n\r\n"
    )
    for at in range(0, len(raw), 1000):
        piece = raw[at : at + 1000]
        wire.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    wire.write(b"0\r\n\r\n")


def _no_length(wire: Wire, _request: Request, answer: Answer) -> None:
    kind = answer.content_type.encode()
    wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\n\r\n" + answer.raw)


def _torn(wire: Wire, _request: Request, answer: Answer) -> None:
    wire.send(Answer(answer.raw[: len(answer.raw) * 2 // 3], content_type=answer.content_type))


def _short(wire: Wire, _request: Request, answer: Answer) -> None:
    wire.send(answer, length=len(answer.raw) + 4000)


def _redirect(wire: Wire, request: Request, _answer: Answer) -> None:
    """To an address that carries what was asked, key and all."""
    wire.send(Answer(b"", 302, {"Location": f"http://127.0.0.1:9/{request.line}&key={KEY}"}))


def _drips(head: bytes, drop: bytes) -> Callable:
    return lambda wire, _request, _answer: wire.drip(head, drop, 0.02)


def _silent(wire: Wire, _request: Request, _answer: Answer) -> None:
    wire.stop.wait(20)


def _endless(wire: Wire, _request: Request, _answer: Answer) -> None:
    wire.drip(JSON_HEAD + b"\r\n", b"[" * 400_000, 0)


_BOMB = gzip.compress(b" " * 8_000_000)

FAULTS: tuple[Fault, ...] = (
    Fault("status 400", says({"error": {"code": "400 Bad Request", "message": "no"}}, 400)),
    Fault("status 401", says({"error": "Invalid auth-token"}, 401)),
    Fault("status 401, bare word", says("Unauthorized", 401)),
    Fault("status 403", says({"error": "x", "message": "Invalid scope"}, 403)),
    Fault("status 403, HTML", says(HTML, 403, "text/html")),
    Fault("status 404", says({"detail": "no content available"}, 404)),
    Fault("status 404, HTML", says(HTML, 404, "text/html")),
    Fault("status 422", says({"detail": [{"loc": ["query"], "msg": "no", "type": "t"}]}, 422)),
    Fault("status 429", says(b"", 429)),
    Fault("status 429, seconds", says(b"", 429, Retry_After="120")),
    Fault("status 429, date", says(b"", 429, Retry_After="Fri, 20 Nov 2099 18:50:00 GMT")),
    Fault("status 500", says({"error": "Internal"}, 500)),
    Fault("status 502, HTML", says(HTML, 502, "text/html")),
    Fault("status 503, seconds", says(HTML, 503, "text/html", Retry_After="120")),
    Fault("status 204", says(b"", 204)),
    Fault("status 304 unasked", says(b"", 304)),
    Fault("key echoed, 403", says({"error": f"{KEY} is not valid"}, 403)),
    Fault("key echoed, bare", says(f"Jwt {KEY} is expired", 401, "text/plain")),
    Fault("key echoed, 200", says({"error": f"{KEY} is not valid", "code": 400})),
    Fault("redirect", _redirect),
    Fault("HTML under 200", says(HTML, 200, "text/html")),
    Fault("HTML under 200 as JSON", says(HTML)),
    Fault("bare word under 200", says("Unauthorized")),
    Fault("error under 200", says({"error": {"code": "400 Bad Request", "message": "Please"}})),
    Fault("error text under 200", says({"error": "over the limit", "code": 400})),
    Fault("empty body", says(b"")),
    Fault("null document", says(b"null")),
    Fault("a number", says(b"7")),
    Fault("empty object", says({})),
    Fault("list of numbers", says([1, 2, 3])),
    Fault("deep", says(b"[" * 200_000)),
    Fault("torn", _torn),
    Fault("shorter than promised", _short),
    Fault("not UTF-8", says(b'{"data": "\xff\xfe\x81"}')),
    Fault("says gzip and is not", says(b"{}", 200, Content_Encoding="gzip")),
    Fault("swells", says(_BOMB, 200, Content_Encoding="gzip")),
    Fault("endless", _endless),
    Fault("reset", lambda wire, _request, _answer: wire.reset()),
    Fault("closed at once", lambda _wire, _request, _answer: None),
    Fault("no HTTP", lambda wire, _request, _answer: wire.write(b"SSH-2.0-OpenSSH_9.2\r\n")),
    Fault("silent", _silent, slow=True),
    Fault("header drips", _drips(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x"), slow=True),
    Fault("body drips", _drips(JSON_HEAD + b"\r\n{", b" "), slow=True),
    Fault("gzip unasked", _gzipped, "right"),
    Fault("chunks", _chunked, "right"),
    Fault("no length", _no_length, "right"),
    Fault("as text/html", _with(content_type="text/html"), "right"),
    Fault("without a type", _with(content_type=""), "right"),
    Fault("byte order mark", _with(body=lambda told: b"\xef\xbb\xbf" + told.raw), "right"),
)
