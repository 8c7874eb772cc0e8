from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import ProviderRefusedError
from carbonsched.intensity.providers.replay import ReplayProvider, Restamp, replay_note
from carbonsched.intensity.records import Issue, Record
from carbonsched.model.intensity import Point, SeriesInfo, StepSeries

HOUR = 3600
INFO = SeriesInfo(provider="replay", zone="DE")
START = 1_625_097_600
BEGIN = 1_800_000_000

hour_lengths = st.one_of(
    st.integers(1, 7200).map(Fraction),
    st.fractions(min_value=1, max_value=100, max_denominator=100),
)
maps = st.builds(
    lambda hour_s: Restamp(start_at=START, begin_at=BEGIN, hour_s=hour_s), hour_lengths
)


class Held:
    """A record in memory."""

    def __init__(self, record):
        self.record = record

    def read(self):
        return self.record


class At:
    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at


def hourly(values, first_at=START):
    return tuple(
        Point(first_at + n * HOUR, first_at + (n + 1) * HOUR, value)
        for n, value in enumerate(values)
    )


def provider(record, restamp, now, lag_s=0):
    return ReplayProvider(
        info=INFO, records=Held(record), restamp=restamp, lag_s=lag_s, clock=At(now)
    )


@given(maps, st.integers(-(10**7), 10**7), st.integers(0, 10**6))
def test_restamping_keeps_order_and_lets_no_hour_vanish(restamp, offset, length):
    recorded = START + offset
    assert restamp.at(recorded) <= restamp.at(recorded + length)
    assert restamp.at(recorded) < restamp.at(recorded + HOUR)
    assert restamp.at(START) == BEGIN


@given(maps, st.lists(st.integers(1, 500_000), min_size=1, max_size=40), st.integers(-20, 0))
def test_touching_periods_still_touch(restamp, values, first):
    recorded = hourly(values, START + first * HOUR)
    if recorded[-1].end_at <= START:
        return
    end = restamp.at(recorded[-1].end_at)
    known = provider(Record(actual=recorded), restamp, now=end).actual(0, end + 1).points
    assert [point.mg_per_kwh for point in known] == values
    assert all(a.end_at == b.start_at for a, b in pairwise(known))


@given(
    st.integers(1, 3600),
    st.lists(st.integers(1, 500_000), min_size=2, max_size=30),
    st.data(),
)
def test_the_mean_of_the_replay_is_the_mean_of_the_record(hour_s, values, data):
    recorded = hourly(values)
    restamp = Restamp(start_at=START, begin_at=BEGIN, hour_s=Fraction(hour_s))
    first = data.draw(st.integers(0, len(values) - 1))
    last = data.draw(st.integers(first + 1, len(values)))
    bounds = START + first * HOUR, START + last * HOUR
    replayed = provider(Record(actual=recorded), restamp, now=BEGIN + 10**9)
    told = replayed.actual(restamp.at(bounds[0]), restamp.at(bounds[1]))
    assert told.steps.mean(restamp.at(bounds[0]), restamp.at(bounds[1])) == StepSeries(
        recorded
    ).mean(*bounds)
    assert len(told.points) == last - first


@given(maps, st.integers(-100, 400), st.integers(0, 3 * HOUR), st.integers(0, 5))
def test_nothing_is_known_before_its_time(restamp, minutes, lag_s, issue_hour):
    record = Record(
        actual=hourly(range(1, 7)),
        issues=(
            Issue(issued_at=START, points=hourly([7, 8])),
            Issue(issued_at=START + issue_hour * HOUR + 60, points=hourly([9, 10])),
        ),
    )
    now = restamp.at(START + minutes * 60)
    replayed = provider(record, restamp, now, lag_s)
    for point in replayed.actual(0, 2 * BEGIN).points:
        assert point.end_at <= now
        recorded_end = START + point.mg_per_kwh * HOUR
        assert (now - restamp.at(recorded_end)) >= lag_s * restamp.hour_s / HOUR
    forecast = replayed.forecast(now)
    due = [issue for issue in record.issues if restamp.at(issue.issued_at) <= now]
    assert (forecast is None) == (not due)
    if forecast is not None:
        assert forecast.issued_at <= now
        assert forecast.issued_at == restamp.at(due[-1].issued_at)
        assert forecast.points[0].mg_per_kwh == due[-1].points[0].mg_per_kwh


def test_only_periods_that_touch_the_interval_come():
    restamp = Restamp(start_at=START, begin_at=BEGIN, hour_s=Fraction(10))
    replayed = provider(Record(actual=hourly(range(1, 11))), restamp, now=BEGIN + 1000)
    told = replayed.actual(BEGIN + 15, BEGIN + 40)
    assert told.points == (
        Point(BEGIN + 10, BEGIN + 20, 2),
        Point(BEGIN + 20, BEGIN + 30, 3),
        Point(BEGIN + 30, BEGIN + 40, 4),
    )
    assert told.fetched_at == BEGIN + 1000
    assert replayed.actual(BEGIN + 500, BEGIN + 600).points == ()


def test_a_start_outside_the_record_is_refused():
    restamp = Restamp(start_at=START + 11 * HOUR, begin_at=BEGIN, hour_s=Fraction(10))
    replayed = provider(Record(actual=hourly(range(1, 11))), restamp, now=BEGIN)
    with pytest.raises(ProviderRefusedError, match="start lies outside the record"):
        replayed.actual(BEGIN, BEGIN + 10)
    with pytest.raises(ProviderRefusedError, match="start lies outside the record"):
        replayed.forecast(BEGIN)


def test_a_half_hour_that_would_vanish_is_refused():
    record = Record(actual=(Point(START, START + 1800, 1),))
    restamp = Restamp(start_at=START, begin_at=BEGIN, hour_s=Fraction(3, 2))
    with pytest.raises(ProviderRefusedError, match="raise hour_s"):
        provider(record, restamp, now=BEGIN).forecast(BEGIN)


def test_an_hour_shorter_than_a_second_is_refused():
    with pytest.raises(ValueError, match="at least one second"):
        Restamp(start_at=START, begin_at=BEGIN, hour_s=Fraction(1, 2))


def test_the_note_says_plainly_that_it_is_a_replay():
    assert replay_note("DE", START, 10.0) == "replay of DE 2021, one recorded hour each 10 s"
    assert replay_note("DE", START, 2.5).endswith("each 2.5 s")
