"""One careful GET of a document from a service that nobody here controls.

Bounded in time as a whole (name look-up and a dripping header included), in size, and to one
address: no redirect is followed. Numbers with a fraction come as ``Decimal``, exactly as written.
What came before is kept for a while: for those who ask the same again soon, and for services that
can say that nothing changed (``ETag``, ``Last-Modified``; RFC 9110, section 13).
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email.message import Message
from functools import partial
from time import monotonic
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from carbonsched.errors import (
    ProviderError,
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.http.kept import Answer, Kept, validators
from carbonsched.intensity.http.line import Line
from carbonsched.intensity.http.question import (
    THREADS,
    Auth,
    Headers,
    Params,
    Question,
    Revealed,
    quiet,
)
from carbonsched.intensity.http.silence import RateLimitedError, Silence
from carbonsched.intensity.http.words import cause, reason, retry_after_s

MAX_BYTES = 4_000_000
_CHUNK = 16_384
_PASSING = frozenset({304, 408, 425, 429})
_LASTING = frozenset({501, 505})
_MOST_OF_A_REFUSAL = 4096
_LATE = 0.1
"""A failure that took more than this share of the time limit is taken for the whole service's."""
_TALKATIVE = ("connection", "connectionpool", "poolmanager", "response", "util.retry")
_NOTHING: frozenset[int] = frozenset()


class RefusedStatusError(ProviderRefusedError):
    """A status that asking again will not change.

    ``body`` is its beginning, for the adapter to look at and never to print.
    """

    def __init__(self, message: str, status: int, body: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class Fetcher:
    """Fetches documents of one service; ``name`` begins every error.

    May be shared by all zones that use the service, and by threads. There is never more than one
    thread at work for it.
    """

    def __init__(
        self,
        *,
        name: str,
        timeout_s: float,
        max_bytes: int = MAX_BYTES,
        settings: str = "base_url or the zone's provider",
        proxies: bool = True,
        silence: Silence | None = None,
        busy_s: int = 60,
    ) -> None:
        """``timeout_s`` bounds the whole exchange; ``max_bytes`` the decoded body.

        ``settings`` are what to correct where the service refuses. ``proxies`` says whether those
        that the environment names are used; services inside the site are reached without.
        ``silence`` keeps the service's wish to be left alone, and its clock says how old answers
        are; ``busy_s`` is how long to leave it alone where it names no time.

        For as long as the time limit it is not asked again after it could not be reached or kept
        us waiting for a failure, so that many zones wait for it once. A failure that comes at once
        may be of one question alone, and delays nobody.
        """
        self._name = name
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._settings = settings
        self._proxies = proxies
        self._silence = silence
        self._now: Callable[[], float] = monotonic if silence is None else silence.now
        self._busy_s = busy_s
        self._failed_at: float | None = None
        self._kept = Kept()
        self._turn = threading.Lock()
        self._last: tuple[Future[Answer], Line] | None = None
        for part in _TALKATIVE:
            logging.getLogger(f"urllib3.{part}").addFilter(quiet)

    def allow(self, timeout_s: float) -> None:
        """Let an exchange take that long too: of those who share this the most patient counts."""
        self._timeout_s = max(self._timeout_s, timeout_s)

    def json(
        self,
        url: str,
        params: Params | None = None,
        headers: Headers | None = None,
        auth: Auth | None = None,
        *,
        fresh_s: float = 0,
        empty_ok: bool = False,
        also: Collection[int] = _NOTHING,
    ) -> Any:
        """The JSON document at ``url``; ``None`` for status 204 where ``empty_ok``.

        An answer that came less than ``fresh_s`` seconds ago is given again without asking. The
        bodies of statuses in ``also`` count as answers.

        Raises:
            RateLimitedError: 429, or 5xx with Retry-After, or the silence after one of them.
            ProviderUnavailableError: unreachable, too slow, or its own fault.
            RefusedStatusError: a status that asking again will not change.
            ProviderRefusedError: a key cannot be read.
            ProviderMalformedError: too large, torn, or not JSON.
        """
        accepted = {*also, 204} if empty_ok else also
        question = Question.of(url, params, {"Accept": "application/json", **(headers or {})}, auth)
        answer = self._answer(question, fresh_s, accepted)
        if answer.status == 204 and not answer.body:
            return None
        try:
            return json.loads(answer.body, parse_float=Decimal, parse_constant=_nothing)
        except (ValueError, RecursionError):
            kind = "HTML" if _is_html(answer.body) else "something that is not JSON"
            self._kept.drop(question.shown)
            raise ProviderMalformedError(f"{self._name}: answered with {kind}") from None

    def text(
        self,
        url: str,
        params: Params | None = None,
        headers: Headers | None = None,
        auth: Auth | None = None,
        *,
        fresh_s: float = 0,
        also: Collection[int] = _NOTHING,
    ) -> str:
        """The text at ``url``, such as XML or CSV, by the charset it declares or UTF-8.

        Raises:
            ProviderError: as :meth:`json`; malformed where it is HTML or in another charset.
        """
        question = Question.of(url, params, headers, auth)
        answer = self._answer(question, fresh_s, also)
        try:
            text = answer.body.decode(answer.charset or "utf-8-sig")
        except (LookupError, ValueError):
            text = None
        if text is None or _is_html(answer.body):
            self._kept.drop(question.shown)
            kind = "HTML" if text is not None else "text in another charset than it says"
            raise ProviderMalformedError(f"{self._name}: answered with {kind}")
        return text

    def forget(self, url: str, params: Params | None = None) -> None:
        """Do not give this answer again: what it says is malformed."""
        self._kept.drop(Question.of(url, params, None, None).shown)

    def _answer(self, question: Question, fresh_s: float, also: Collection[int]) -> Answer:
        if not self._turn.acquire(timeout=self._timeout_s):
            raise self._unended()
        try:
            fresh = self._kept.fresh(question.shown, self._now(), fresh_s)
            if fresh is not None:
                return fresh
            if self._silence is not None:
                self._silence.check(self._name)
            if self._failed_at is not None and 0 <= self._now() - self._failed_at < self._timeout_s:
                raise ProviderUnavailableError(f"{self._name}: could not be reached a moment ago")
            answer = self._within_time(question, frozenset(also))
        except RateLimitedError as error:
            if self._silence is not None:
                self._silence.keep(error.wait_s)
            raise
        finally:
            self._turn.release()
        return answer

    def _within_time(self, question: Question, also: frozenset[int]) -> Answer:
        """Fetch in a thread: requests bounds neither name look-up nor a header that drips."""
        if self._last is not None and not self._last[0].done():
            self._last[1].cut()
            raise self._unended()
        revealed = question.revealed()
        kept = self._kept.get(question.shown)
        began, line = monotonic(), Line(proxies=self._proxies)
        exchange = partial(self._exchange, line, revealed, kept, also, began + self._timeout_s)
        answer: Future[Answer] = Future()
        self._last = answer, line
        threading.Thread(
            target=_work, args=(answer, exchange), name=f"{THREADS}{self._name}", daemon=True
        ).start()
        try:
            told = answer.result(self._timeout_s)
        except (TimeoutError, requests.Timeout, ReadTimeoutError):
            line.cut()
            self._failed_at = self._now()
            raise self._timed_out() from None
        except ProviderError as error:
            late = monotonic() - began > _LATE * self._timeout_s
            if late and isinstance(error, ProviderUnavailableError):
                self._failed_at = self._now()
            raise
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            self._failed_at = self._now()
            raise ProviderUnavailableError(f"{self._name}: {cause(error)}") from None
        self._failed_at = None
        if told.status == 200:
            self._kept.put(question.shown, told)
        return told

    def _exchange(
        self,
        line: Line,
        asked: Revealed,
        kept: Answer | None,
        also: frozenset[int],
        deadline: float,
    ) -> Answer:
        headers = asked.headers | (kept.conditions if kept else {})
        timeout = (self._timeout_s, self._timeout_s)
        with (
            line,
            line.get(
                asked.url,
                headers=headers,
                auth=asked.credentials,
                timeout=timeout,
                stream=True,
                allow_redirects=False,
            ) as response,
        ):
            if response.status_code == 304 and kept is not None and kept.conditions:
                return replace(kept, came_at=self._now())
            if response.status_code not in also:
                self._check(response, asked, deadline)
            etag, modified = validators(response.headers)
            return Answer(
                status=response.status_code,
                body=self._body(response, deadline),
                charset=_charset(response.headers.get("Content-Type", "")),
                etag=etag,
                modified=modified,
                came_at=self._now(),
            )

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        # read1 returns with what has come, so that a body that drips meets the deadline.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._max_bytes:
                raise ProviderMalformedError(
                    f"{self._name}: the answer is larger than {self._max_bytes} bytes"
                )
            if monotonic() > deadline:
                raise self._timed_out()
        return bytes(body)

    def _check(self, response: requests.Response, asked: Revealed, deadline: float) -> None:
        status = response.status_code
        if status == 200:
            return
        said = f"{self._name}: answered with status {status}"
        after = response.headers.get("Retry-After")
        if status == 429 or (status >= 500 and after is not None):
            wait_s = retry_after_s(after, datetime.now(UTC), self._busy_s)
            raise RateLimitedError(f"{said}; not asked again for {wait_s} s", wait_s)
        lasting = 300 <= status < 500 and status not in _PASSING
        if not lasting and status not in _LASTING:
            raise ProviderUnavailableError(said)
        body = self._beginning(response, deadline)
        if status < 400:
            said = f"{said}, a redirect"
        elif why := reason(body, asked.scrubbed):
            said = f"{said} ({why})"
        message = f"{said}: correct {self._settings}"
        raise RefusedStatusError(message, status, body[:_MOST_OF_A_REFUSAL])

    def _beginning(self, response: requests.Response, deadline: float) -> bytes:
        try:
            return self._body(response, deadline)
        except (ProviderError, requests.RequestException, HTTPError, OSError):
            return b""

    def _timed_out(self) -> ProviderUnavailableError:
        return ProviderUnavailableError(f"{self._name}: timed out after {self._timeout_s:g} s")

    def _unended(self) -> ProviderUnavailableError:
        return ProviderUnavailableError(f"{self._name}: the last request has still not ended")


def _work(answer: Future[Answer], exchange: Callable[[], Answer]) -> None:
    try:
        answer.set_result(exchange())
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
        answer.set_exception(error)


def _charset(content_type: str) -> str | None:
    message = Message()
    message["Content-Type"] = content_type
    return message.get_content_charset()


def _is_html(body: bytes) -> bool:
    return body.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def _nothing(_constant: str) -> None:
    """NaN and Infinity are not JSON; read as null."""
