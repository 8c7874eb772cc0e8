"""What was told, when; and nothing that was not known yet."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.ledger import Ledger
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

INFO = SeriesInfo(provider="grid", zone="DE")
HOUR = 3600


def points(*values, start_at=0):
    return tuple(
        Point(start_at + index * HOUR, start_at + (index + 1) * HOUR, value)
        for index, value in enumerate(values)
    )


def told(*values, at, start_at=0, info=INFO):
    return IntensitySeries(info=info, fetched_at=at, points=points(*values, start_at=start_at))


def test_the_same_values_again_add_nothing(ledger):
    add = ledger.archive.add_actual
    assert add(told(1, 2, 3, at=10)) == 3
    assert add(told(1, 2, 3, at=20)) == 0
    assert add(told(2, 3, 4, at=30, start_at=HOUR)) == 1
    assert add(IntensitySeries(info=INFO, fetched_at=40, points=())) == 0
    (series,) = ledger.archive.actuals("DE", 0, 4 * HOUR)
    assert series.points == points(1, 2, 3, 4)


def test_a_revision_counts_and_what_was_told_before_is_kept(ledger):
    for at, value in ((10, 5), (20, 7), (30, 5)):
        assert ledger.archive.add_actual(told(value, 9, at=at)) >= 1
    (series,) = ledger.archive.actuals("DE", 0, 2 * HOUR)
    assert series.points == points(5, 9)
    assert series.fetched_at == 30
    rows = ledger._file.rows(
        "SELECT fetched_at, mg_per_kwh FROM intensities WHERE start_at = 0 ORDER BY fetched_at"
    )
    assert [(row["fetched_at"], row["mg_per_kwh"]) for row in rows] == [(10, 5), (20, 7), (30, 5)]


def test_sources_and_zones_stay_apart(ledger):
    other = replace(INFO, provider="table", static=True, note="annual mean")
    abroad = replace(INFO, zone="FR")
    for info, value in ((INFO, 1), (other, 2), (abroad, 3)):
        ledger.archive.add_actual(told(value, at=10, info=info))
    found = ledger.archive.actuals("DE", 0, HOUR)
    assert [(one.info, one.points[0].mg_per_kwh) for one in found] == [(INFO, 1), (other, 2)]
    assert ledger.archive.actuals("DE", HOUR, 2 * HOUR) == []
    assert ledger.archive.actuals("XX", 0, HOUR) == []


def test_only_what_touches_the_interval_is_told(ledger):
    ledger.archive.add_actual(told(1, 2, 3, 4, at=10))
    (series,) = ledger.archive.actuals("DE", HOUR + 1, 2 * HOUR + 1)
    assert series.points == points(1, 2, 3, 4)[1:3]


def test_an_issue_is_kept_once_as_first_told(ledger):
    first = Forecast(info=INFO, issued_at=100, points=points(1, 2))
    assert ledger.archive.add_forecast(first, 110)
    assert not ledger.archive.add_forecast(replace(first, points=points(9)), 120)
    assert ledger.archive.forecast("DE", 200) == first
    assert ledger.archive.forecast("FR", 200) is None


issues = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=10)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(issues, st.integers(0, 80))
def test_a_forecast_is_never_one_that_was_fetched_or_issued_later(tmp_path_factory, told_at, now):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    try:
        held = {}
        for issued_at, delay in told_at:
            fetched_at = issued_at + delay
            forecast = Forecast(
                info=INFO, issued_at=issued_at, points=points(issued_at, fetched_at)
            )
            if ledger.archive.add_forecast(forecast, fetched_at):
                held[issued_at] = (fetched_at, forecast)
        usable = [
            issued for issued, (fetched, _) in held.items() if issued <= now and fetched <= now
        ]
        expected = held[max(usable)][1] if usable else None
        assert ledger.archive.forecast("DE", now) == expected
    finally:
        ledger.close()
