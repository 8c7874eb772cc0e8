"""What every provider that speaks HTTP must make of every fault; a test class plugs itself in.

    class TestEds(FaultSuite):
        def make(self, twin, clock, timeout_s):
            return EdsProvider(zone="DK1", clock=clock, base_url=twin.url, timeout_s=timeout_s)

        def serve(self, twin, clock):
            twin.serve("/dataset/CO2Emis", lambda request: {...})   # the service, when it is well

        def rows(self, document):
            return document["records"]          # the list itself, or None where there is none
                                                # XML, arrays side by side: see unpack and pack

        def set_value(self, row, value):
            row["CO2Emission"] = value

The well-behaved twin is asked first; its points are what is right. Then each fault gives the same
points, or fewer where rows are at fault, or one line of ``ProviderError``; never other numbers,
never a hang, never the key. ``serve`` must tell of at least the last ``SPAN_S`` seconds and of the
hours ahead, with values that differ from row to row.

A class gives a key to its provider as ``Secret(KEY)``, so that it could be seen if it leaked.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import random
import time
import traceback
from collections.abc import Callable, Collection
from typing import Any, ClassVar

import pytest
from twin import FAULTS, Fault, Request, Twin
from twin.faults import KEY

from carbonsched.errors import ProviderError
from carbonsched.intensity.http.silence import RateLimitedError
from carbonsched.model.intensity import Point
from carbonsched.ports import IntensityProvider

__all__ = ["KEY", "FaultSuite"]
FINE_S = 5.0
"""The time limit where it is not the point."""
SLOW_S = 0.15
QUESTIONS = ("actual", "forecast")
_RIGHT: dict[tuple[type, str, int], tuple[Point, ...]] = {}
Alter = Callable[[list[Any], int, Callable[[Any, Any], None]], Any]


def _set(value: Any) -> Alter:
    return lambda rows, at, put: put(rows[at], value)


def _shuffle(rows: list[Any], _at: int, _put: Any) -> None:
    random.Random(4).shuffle(rows)


def _contradict(rows: list[Any], at: int, put: Callable[[Any, Any], None]) -> None:
    other = type(rows[at])(rows[at])
    if isinstance(other, dict):
        other = _deep(rows[at])
    put(other, 333)
    rows.insert(0, other)


def _deep(row: Any) -> Any:
    return {k: _deep(v) if isinstance(v, dict) else v for k, v in row.items()}


HARMLESS: dict[str, Alter] = {
    "duplicated": lambda rows, at, _put: rows.insert(at, _deep(rows[at])),
    "duplicated far away": lambda rows, at, _put: rows.append(_deep(rows[at])),
    "reversed": lambda rows, _at, _put: rows.reverse(),
    "shuffled": _shuffle,
}
"""The same points come out."""
ONE_LESS: dict[str, Alter] = {
    "null": _set(None),
    "missing": lambda rows, at, _put: rows.pop(at),
}
"""The same points come out but for those that the row tells of."""
FAULTY: dict[str, Alter] = {
    "zero": _set(0),
    "negative": _set(-80),
    "absurd": _set(10**9),
    "a word": _set("high"),
    "true": _set(value=True),
    "a list": _set([80]),
    "contradicting": _contradict,
    "a null row": lambda rows, at, _put: rows.insert(at, None),
    "a number for a row": lambda rows, at, _put: rows.insert(at, 7),
    "an empty row": lambda rows, at, _put: rows.insert(at, {}),
    "no rows": lambda rows, _at, _put: rows.clear(),
    "cut off": lambda rows, at, _put: rows.__delitem__(slice(at, None)),
}
"""Points that are right, or one line."""


class FaultSuite:
    """Subclasses say how to make the provider and how its service speaks."""

    SPAN_S: ClassVar[int] = 6 * 3600
    NOTHING: ClassVar[Collection[str]] = ()
    """Names of faults that are the service's word for "there is nothing": no points, no error."""
    SKIPPED: ClassVar[Collection[str]] = ()
    """Names of faults that do not exist for this shape; say why beside it."""
    KEYED: ClassVar[bool] = False
    """Whether the provider has ``Secret(KEY)`` and must send it, and send it only."""
    PER_ROW: ClassVar[int] = 1
    """How many points one row makes at most."""
    MOST_REQUESTS: ClassVar[int] = 4
    """How often one question may ask a service that refuses."""

    def make(self, twin: Twin, clock: Any, timeout_s: float) -> IntensityProvider:
        """A new provider at ``twin.url``."""
        raise NotImplementedError

    def serve(self, twin: Twin, clock: Any) -> None:
        """Routes of a service that is well."""
        raise NotImplementedError

    def unpack(self, body: Any) -> Any:
        """What a route said (a document or a text) in a form that has a list of rows."""
        return body

    def pack(self, document: Any) -> Any:
        """The unpacked form as the service would say it."""
        return document

    def rows(self, document: Any) -> list[Any] | None:
        """The list of rows inside a document; None where it has none, such as a token."""
        raise NotImplementedError

    def set_value(self, row: Any, value: Any) -> None:
        """Write an intensity, or something else, into a row."""
        raise NotImplementedError

    def ask(self, provider: IntensityProvider, clock: Any, question: str) -> tuple[Point, ...]:
        """The points that the provider tells."""
        if question == "actual":
            return provider.actual(clock.at - self.SPAN_S, clock.at).points
        forecast = provider.forecast(clock.at)
        return () if forecast is None else forecast.points

    def right(self, twin: Twin, clock: Any, question: str) -> tuple[Point, ...]:
        """What the well-behaved service leads to; skips where it has no such thing."""
        self.serve(twin, clock)
        points = self.tells(twin, clock, question)
        if not points:
            pytest.skip(f"it tells no {question}")
        return points

    def tells(self, twin: Twin, clock: Any, question: str) -> tuple[Point, ...]:
        """The same, or nothing; asked once for all tests of a class, since it never changes."""
        key = (type(self), question, clock.at)
        if key not in _RIGHT:
            _RIGHT[key] = self.ask(self.make(twin, clock, FINE_S), clock, question)
            twin.requests.clear()
        return _RIGHT[key]

    @pytest.mark.parametrize("question", QUESTIONS)
    @pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
    def test_on_the_wire(self, service, clock, caplog, fault: Fault, question):
        if fault.name in self.SKIPPED:
            pytest.skip("this shape has no such fault")
        if fault.name.startswith("key echoed") and not self.KEYED:
            pytest.skip("it has no key")
        caplog.set_level(logging.DEBUG)
        right = self.right(service, clock, question)
        if fault.slow and question == "actual" and self.tells(service, clock, "forecast"):
            pytest.skip("the slow ones are asked for forecasts alone")
        service.fault = fault
        provider = self.make(service, clock, SLOW_S if fault.slow else FINE_S)
        began = time.monotonic()
        try:
            told = self.ask(provider, clock, question)
        except ProviderError as error:
            if fault.outcome == "right":
                raise
            self.check_line(error)
        else:
            expected = right if fault.outcome == "right" else ()
            assert told == expected
            assert fault.outcome == "right" or fault.name in self.NOTHING
        assert time.monotonic() - began < FINE_S
        assert len(service.requests) <= self.MOST_REQUESTS
        assert KEY not in caplog.text

    def check_line(self, error: ProviderError) -> None:
        """One short printable line that begins with a name and holds no key."""
        line = str(error)
        assert line.isprintable()
        assert len(line) < 300
        assert ": " in line
        assert KEY not in "".join(traceback.format_exception(error))
        assert KEY not in repr(error)

    @pytest.mark.parametrize("question", QUESTIONS)
    @pytest.mark.parametrize("name", HARMLESS)
    def test_harmless_disorder(self, service, clock, name, question):
        right = self.right(service, clock, question)
        told, altered = self.altered(service, clock, question, name, HARMLESS[name])
        assert altered
        assert told == right

    @pytest.mark.parametrize("question", QUESTIONS)
    @pytest.mark.parametrize("name", ONE_LESS)
    def test_a_row_without_a_value(self, service, clock, name, question):
        right = self.right(service, clock, question)
        told, altered = self.altered(service, clock, question, name, ONE_LESS[name])
        assert altered
        assert set(told) < set(right)
        assert len(right) - len(told) <= altered * self.PER_ROW

    @pytest.mark.parametrize("question", QUESTIONS)
    @pytest.mark.parametrize("name", FAULTY)
    def test_a_faulty_row(self, service, clock, caplog, name, question):
        right = self.right(service, clock, question)
        try:
            told, altered = self.altered(service, clock, question, name, FAULTY[name])
        except ProviderError as error:
            self.check_line(error)
            return
        assert altered
        assert set(told) <= set(right)
        assert name not in {"zero", "negative", "absurd"} or len(told) < len(right)
        assert KEY not in caplog.text

    def altered(
        self, twin: Twin, clock: Any, question: str, name: str, alter: Alter
    ) -> tuple[tuple[Point, ...], int]:
        """What comes of rows changed in their middle, and how many documents were changed."""
        if name in self.SKIPPED:
            pytest.skip("this shape has no such fault")
        changed = 0

        def change(body: Any) -> Any:
            nonlocal changed
            document = self.unpack(body)
            rows = self.rows(document)
            if not rows:
                return body
            alter(rows, len(rows) // 2, self.set_value)
            changed += 1
            return self.pack(document)

        twin.alter = change
        return self.ask(self.make(twin, clock, FINE_S), clock, question), changed

    @pytest.mark.parametrize("question", QUESTIONS)
    def test_it_is_left_alone_for_as_long_as_it_asks(self, service, clock, question):
        right = self.right(service, clock, question)
        provider = self.make(service, clock, FINE_S)
        service.fault = next(one for one in FAULTS if one.name == "status 429, seconds")
        with pytest.raises(RateLimitedError) as caught:
            self.ask(provider, clock, question)
        assert caught.value.wait_s == 120
        asked = len(service.requests)
        service.fault = None
        clock.at += 119
        with pytest.raises(RateLimitedError, match="left alone for 1 s more"):
            self.ask(provider, clock, question)
        assert len(service.requests) == asked
        clock.at += 1
        assert set(self.ask(provider, clock, question)) & set(right)

    @pytest.mark.parametrize("question", QUESTIONS)
    def test_it_may_say_that_nothing_changed(self, service, clock, question):
        right = self.right(service, clock, question)
        service.etags = True
        provider = self.make(service, clock, FINE_S)
        assert self.ask(provider, clock, question) == right
        assert self.ask(provider, clock, question) == right

    @pytest.mark.parametrize("question", QUESTIONS)
    def test_the_key_is_sent_and_seen_nowhere(self, service, clock, caplog, question):
        if not self.KEYED:
            pytest.skip("it has no key")
        caplog.set_level(logging.DEBUG)
        self.serve(service, clock)
        provider = self.make(service, clock, FINE_S)
        if not self.ask(provider, clock, question):
            pytest.skip(f"it tells no {question}")
        assert any(self.sends_key(request) for request in service.requests)
        assert KEY not in caplog.text
        assert KEY not in f"{provider!r} {provider.info!r} {vars(provider)!r}"

    def sends_key(self, request: Request) -> bool:
        """Whether a request bears the key, as text or in Basic credentials."""
        bare = request.headers.get("authorization", "").removeprefix("Basic ")
        with contextlib.suppress(ValueError):
            bare = base64.b64decode(bare, validate=True).decode()
        return KEY in f"{request.line} {request.headers} {bare}"

    @pytest.mark.parametrize("question", QUESTIONS)
    def test_it_recovers(self, service, clock, question):
        right = self.right(service, clock, question)
        provider = self.make(service, clock, FINE_S)
        at = clock.at
        for name in ("status 500", "HTML under 200", "reset", "torn"):
            service.fault = next(one for one in FAULTS if one.name == name)
            with pytest.raises(ProviderError):
                self.ask(provider, clock, question)
            clock.at += 120  # a provider may pause after it could not be reached
        service.fault = None
        clock.at = at
        assert self.ask(provider, clock, question) == right

    @pytest.mark.parametrize("name", ["silent", "header drips"])
    def test_it_recovers_from_what_hung(self, service, clock, name):
        self.serve(service, clock)
        question = next(one for one in QUESTIONS if self.tells(service, clock, one))
        right = self.tells(service, clock, question)
        provider = self.make(service, clock, 4 * SLOW_S)
        at = clock.at
        clock.at += 120
        service.fault = next(one for one in FAULTS if one.name == name)
        with pytest.raises(ProviderError, match="timed out"):
            self.ask(provider, clock, question)
        time.sleep(SLOW_S)
        service.fault = None
        clock.at = at
        assert self.ask(provider, clock, question) == right
