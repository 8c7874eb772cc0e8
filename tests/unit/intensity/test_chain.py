from __future__ import annotations

import logging

import pytest

from carbonsched.errors import ProviderRefusedError, ProviderUnavailableError
from carbonsched.intensity.chain import BackOff, Chain
from carbonsched.intensity.http.silence import PacedError, RateLimitedError
from carbonsched.intensity.providers.files import FileProvider
from carbonsched.intensity.providers.neso import NesoProvider
from carbonsched.intensity.providers.static import StaticProvider
from carbonsched.intensity.records import Issue, Record
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

HOUR = 3600


class Source:
    """A record in memory that can be made to fail."""

    def __init__(self, record):
        self.record = record
        self.error = None
        self.reads = 0

    def read(self):
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.record


def record_at(now, forecast_hours=24):
    start = now - now % HOUR
    return Record(
        actual=tuple(
            Point(start - n * HOUR, start - (n - 1) * HOUR, 100_000 + n) for n in range(24, 0, -1)
        ),
        issues=(
            Issue(
                issued_at=start,
                points=tuple(
                    Point(start + n * HOUR, start + (n + 1) * HOUR, 90_000 + n)
                    for n in range(forecast_hours)
                ),
            ),
        ),
    )


@pytest.fixture
def source(clock):
    return Source(record_at(clock.at))


@pytest.fixture
def file(source, clock):
    return FileProvider(info=SeriesInfo(provider="file", zone="X"), records=source, clock=clock)


@pytest.fixture
def static(clock):
    info = SeriesInfo(provider="static", zone="X", static=True)
    return StaticProvider(info=info, mg_per_kwh=300_000, clock=clock)


def names(series):
    return [(one.info.provider, len(one.points)) for one in series]


def test_a_later_provider_is_not_asked_for_what_is_there(file, static, clock):
    chain = Chain("X", [file, static], clock)
    start = clock.at - clock.at % HOUR - 3 * HOUR
    assert names(chain.actuals(start, start + 2 * HOUR)) == [("file", 2), ("static", 0)]


def test_a_later_provider_is_asked_for_a_gap_once_it_is_due(file, static, clock):
    chain = Chain("X", [file, static], clock)
    start = clock.at - clock.at % HOUR - HOUR  # the running hour is not known yet
    assert names(chain.actuals(start, clock.at, settle_lag_s=HOUR)) == [("file", 1), ("static", 0)]
    clock.at += 2 * HOUR
    series = chain.actuals(start, clock.at, settle_lag_s=HOUR)
    assert names(series) == [("file", 1), ("static", 3 * 12 + 8)]
    assert chain.problems == ()


def test_a_failing_provider_keeps_its_place_and_is_seen(file, static, source, clock, caplog):
    source.error = ProviderUnavailableError("file: timed out after 10 s")
    chain = Chain("X", [file, static], clock)
    with caplog.at_level(logging.WARNING):
        series = chain.actuals(clock.at - HOUR, clock.at)
    assert [one.info.provider for one in series] == ["file", "static"]
    assert series[0].points == ()
    assert series[1].points
    assert chain.problems == ("file: timed out after 10 s",)
    assert "zone X: file: timed out after 10 s (asked again in 60 s)" in caplog.text


def test_back_off_doubles_to_its_limit_and_ends_with_an_answer(file, static, source, clock):
    source.error = ProviderUnavailableError("file: down")
    chain = Chain("X", [file, static], clock, back_off=BackOff(first_s=60, longest_s=200))
    waits = []
    for _ in range(4):
        chain.forecast()
        failure = chain.failures[0]
        waits.append(failure.until_at - failure.failed_at)
        before = source.reads
        clock.at = failure.until_at - 1
        chain.forecast()
        assert source.reads == before
        clock.at = failure.until_at
    assert waits == [60, 120, 200, 200]
    source.error = None
    assert chain.forecast() is not None
    assert chain.failures == ()
    source.error = ProviderUnavailableError("file: down")
    chain.forecast()
    assert chain.failures[0].times == 1


def test_refusals_wait_longer_each_time_up_to_an_hour(file, source, clock):
    source.error = ProviderRefusedError("file: refuses")
    chain = Chain("X", [file], clock)
    began, reads = clock.at, []
    while clock.at < began + 24 * HOUR:
        before = source.reads
        assert chain.forecast() is None
        if source.reads > before:
            reads.append(clock.at - began)
        clock.at += 60
    assert reads[:5] == [0, 300, 900, 2100, 4500]
    assert len(reads) < 28  # a day of a wrong key
    source.error = None
    clock.at += HOUR
    source.record = record_at(clock.at)
    assert chain.forecast() is not None
    assert chain.failures == ()


@pytest.mark.parametrize(("wait_s", "expected_s"), [(7, 60), (4000, 4000)])
def test_a_service_that_says_when_to_come_back_is_taken_at_its_word(
    file, source, clock, wait_s, expected_s
):
    source.error = RateLimitedError("file: busy", wait_s)
    chain = Chain("X", [file], clock)
    chain.forecast()
    assert chain.failures[0].until_at == clock.at + expected_s


def test_a_clock_set_back_ends_the_wait(file, source, clock):
    source.error = ProviderUnavailableError("file: down")
    chain = Chain("X", [file], clock)
    chain.forecast()
    source.error = None
    clock.at -= 10
    source.record = record_at(clock.at)
    assert chain.forecast() is not None


def test_the_two_questions_fail_apart(file, static, source, clock):
    chain = Chain("X", [file, static], clock)
    source.error = ProviderUnavailableError("file: down")
    chain.forecast()
    source.error = None
    assert chain.actuals(clock.at - 5 * HOUR, clock.at)[0].points
    assert [failure.operation for failure in chain.failures] == ["forecast"]


def test_the_first_forecast_that_reaches_beyond_now_counts(file, clock):
    short = FileProvider(
        info=SeriesInfo(provider="short", zone="X"),
        records=Source(record_at(clock.at - 5 * HOUR, forecast_hours=3)),
        clock=clock,
    )
    assert Chain("X", [short, file], clock).forecast().info.provider == "file"
    assert Chain("X", [file, short], clock).forecast().info.provider == "file"
    assert Chain("X", [short], clock).forecast() is None


def test_a_file_without_forecasts_or_before_the_first_has_none(file, source, clock):
    assert file.forecast(source.record.issues[0].issued_at - 1) is None
    source.record = Record(actual=source.record.actual)
    assert Chain("X", [file], clock).forecast() is None


def test_a_constant_alone_has_no_forecast(static, clock):
    assert Chain("X", [static], clock).forecast() is None


def test_a_bug_is_not_swallowed(file, source, clock):
    source.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        Chain("X", [file], clock).forecast()


def test_a_zone_without_provider_is_no_chain(clock):
    with pytest.raises(ValueError, match="zone X has no provider"):
        Chain("X", [], clock)


def test_a_live_service_that_hangs_falls_back_visibly(twin, static, clock):
    twin.sleeps()
    neso = NesoProvider(zone="X", clock=clock, base_url=twin.url, timeout_s=0.3)
    chain = Chain("X", [neso, static], clock)
    series = chain.actuals(clock.at - HOUR, clock.at)
    assert [bool(one.points) for one in series] == [False, True]
    assert series[1].info.static
    assert chain.problems == ("neso: timed out after 0.3 s",)
    assert chain.forecast() is None


class Paced:
    """A service that is well, and whose turn has come or has not."""

    def __init__(self, clock):
        self.info = SeriesInfo(provider="paced", zone="X")
        self.clock, self.turn = clock, False

    def _take(self):
        if not self.turn:
            raise PacedError("paced: not asked more than twice a minute")

    def actual(self, start_at, end_at):
        self._take()
        return IntensitySeries(
            info=self.info, fetched_at=self.clock.at, points=(Point(start_at, end_at, 5),)
        )

    def forecast(self, now):
        self._take()
        return Forecast(info=self.info, issued_at=now, points=(Point(now, now + HOUR, 5),))


def test_a_turn_that_has_not_come_is_no_failure_and_nobody_else_is_asked(clock, file, source):
    paced = Paced(clock)
    chain = Chain("X", [paced, file], clock)
    first, second = chain.actuals(clock.at - HOUR, clock.at)
    assert (first.points, second.points) == ((), ())
    assert chain.forecast() is None
    assert source.reads == 0
    assert chain.failures == ()
    why = {"paced": "paced: not asked more than twice a minute"}
    assert (chain.paced("actual"), chain.paced("forecast")) == (why, why)
    paced.turn = True
    assert chain.forecast().info.provider == "paced"
    first, _ = chain.actuals(clock.at - HOUR, clock.at)
    assert len(first.points) == 1
    assert (chain.paced("actual"), chain.paced("forecast")) == ({}, {})


def test_behind_one_that_failed_a_turn_is_awaited_too(clock, file, source):
    source.error = ProviderUnavailableError("file: no disk")
    paced = Paced(clock)
    chain = Chain("X", [file, paced], clock)
    assert chain.forecast() is None
    assert [failure.provider for failure in chain.failures] == ["file"]
    assert "paced" in chain.paced("forecast")
