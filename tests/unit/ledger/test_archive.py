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


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
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


def test_what_was_known_at_an_earlier_time(ledger):
    for at, value in ((10, 5), (20, 7), (30, 6)):
        ledger.archive.add_actual(told(value, at=at))
    for known_at, value in ((10, 5), (19, 5), (20, 7), (29, 7), (30, 6), (99, 6)):
        (series,) = ledger.archive.actual_as_of(INFO, 0, HOUR, known_at)
        assert (series.points, series.fetched_at) == (points(value), min(30, known_at // 10 * 10))
        assert ledger.archive.actuals("DE", 0, HOUR, known_at) == [series]
    assert ledger.archive.actual_as_of(INFO, 0, HOUR, 9) == []
    words = ledger.archive.revisions("DE", 0, 1)
    assert [(one.fetched_at, one.point.mg_per_kwh) for one in words] == [(10, 5), (20, 7), (30, 6)]


def test_an_estimate_that_becomes_measured_is_a_revision_at_the_same_value(ledger):
    estimate = IntensitySeries(
        info=INFO, fetched_at=10, points=(Point(0, HOUR, 5, estimated=True),)
    )
    assert ledger.archive.keep(estimate) == estimate.points
    assert ledger.archive.keep(told(5, at=20)) == points(5)
    assert ledger.archive.actuals("DE", 0, HOUR)[0].points == points(5)
    assert ledger.archive.actuals("DE", 0, HOUR, 15)[0].points == estimate.points


def estimates(*spans, at):
    told_points = tuple(Point(*span, estimated=True) for span in spans)
    return IntensitySeries(info=INFO, fetched_at=at, points=told_points)


def test_an_estimate_takes_the_place_of_no_settled_value(ledger):
    ledger.archive.keep(told(5, 6, at=10))
    assert ledger.archive.keep(estimates((0, HOUR, 9), (HOUR, 2 * HOUR, 6), at=20)) == ()
    assert ledger.archive.keep(told(7, at=30)) == points(7), "a later settled value does"
    (series,) = ledger.archive.actuals("DE", 0, 2 * HOUR)
    assert series.points == points(7, 6)


def test_of_an_estimate_over_another_length_the_rest_counts_and_is_told_once(ledger):
    settled = (Point(900, 1800, 5), Point(2700, HOUR, 6))
    ledger.archive.keep(IntensitySeries(info=INFO, fetched_at=10, points=settled))
    rest = [(0, 900), (1800, 2700), (HOUR, 2 * HOUR)]
    for at, new in ((20, 3), (30, 0)):
        assert ledger.archive.add_actual(estimates((0, 2 * HOUR, 9), at=at)) == new
    (series,) = ledger.archive.actuals("DE", 0, 2 * HOUR)
    assert [(one.start_at, one.end_at) for one in series.points if one.estimated] == rest
    assert tuple(one for one in series.points if not one.estimated) == settled


def test_a_source_that_changes_its_periods_tells_nothing_twice(ledger):
    quarters = tuple(Point(at, at + 900, 1) for at in range(0, HOUR, 900))
    for at, told_points in ((10, points(4, 4)), (20, quarters), (30, (Point(900, 2700, 9),))):
        ledger.archive.add_actual(IntensitySeries(info=INFO, fetched_at=at, points=told_points))
    (series,) = ledger.archive.actuals("DE", 0, 2 * HOUR)
    assert [(one.start_at, one.end_at, one.mg_per_kwh) for one in series.points] == [
        (0, 900, 1), (900, 2700, 9), (2700, 3600, 1), (3600, 7200, 4),
    ]  # fmt: skip
    assert series.steps.mean(0, HOUR) == 5


told_words = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 5), st.integers(1, 4), st.booleans()), max_size=12
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(told_words, st.integers(0, 13))
def test_the_last_word_by_a_time_counts_at_each_instant_and_an_estimate_only_after_its_like(
    tmp_path_factory, told_words, known_at
):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    try:
        expected = {}
        for at, (start, length, value, estimated) in enumerate(told_words):
            point = Point(start, start + length, value, estimated=estimated)
            ledger.archive.add_actual(IntensitySeries(info=INFO, fetched_at=at, points=(point,)))
            if at <= known_at:
                for instant in range(start, start + length):
                    if not estimated or expected.get(instant, (0, True))[1]:
                        expected[instant] = (value, estimated)
        found = ledger.archive.actual_as_of(INFO, 0, 20, known_at)
        at_instants = {
            instant: (point.mg_per_kwh, point.estimated)
            for series in found
            for point in series.points
            for instant in range(point.start_at, point.end_at)
        }
        assert at_instants == expected
    finally:
        ledger.close()


def issue(at, *values, start_at=0, band=None, info=INFO):
    return Forecast(
        info=info, issued_at=at, points=points(*values, start_at=start_at), band=band
    )  # fmt: skip


def test_issues_that_repeat_the_end_of_the_one_before_hold_nothing_twice(ledger):
    issues = [
        issue(100, 1, 2, 3),
        issue(200, 2, 3, start_at=HOUR),
        issue(300, 2, 3, start_at=HOUR),
        issue(400, 3, start_at=2 * HOUR),
        issue(500, 4, start_at=2 * HOUR),
        issue(600, 4, start_at=2 * HOUR, band=((3, 5),)),
    ]
    for one in issues:
        assert ledger.archive.add_forecast(one, one.issued_at)
    held = ledger._file.row("SELECT COUNT(points) AS held FROM forecasts")
    assert held == {"held": 3}
    assert [one.forecast for one in ledger.archive.issues.between(INFO, 0, 1000)] == issues
    for one in issues:
        assert ledger.archive.forecast_as_of(INFO, one.issued_at) == one
    assert ledger.archive.forecast_as_of(INFO, 1000, known_at=250) == issues[1]
    newest = ledger.archive.issues.newest_by(INFO, 600, 200, 3)
    assert [(one.issued_at, one.starts.tolist(), one.mg_per_kwh.tolist()) for one in newest] == [
        (200, [HOUR, 2 * HOUR], [2, 3]), (400, [2 * HOUR], [3]), (600, [2 * HOUR], [4]),
    ]  # fmt: skip


def test_what_an_issue_was_made_from_stands_beside_its_series(ledger):
    ledger.archive.add_forecast(issue(100, 1), 100, "28 days of actual values")
    assert ledger.archive.forecast("DE", 100).info == replace(INFO, note="28 days of actual values")
    assert ledger.archive.series("DE") == [INFO]


def test_old_issues_are_thinned_but_none_that_a_plan_rests_on_or_another_refers_to(ledger):
    for at in range(0, 6000, 500):
        start = at // 1000 * 1000  # every second one repeats the one before
        ledger.archive.add_forecast(issue(at, start + 1, start + 2), at)
    ledger._file.insert(
        "plans",
        [{
            "cluster": "lab", "job_id": 1, "submitted_at": 0, "restarts": 0, "made_at": 0,
            "start_at": 0, "baseline_at": 0, "latest_at": 0, "reason": "cleaner", "text": "",
            "forecast_issued_at": 2500,
        }],
    )  # fmt: skip
    thin = ledger.archive.issues.thin
    before = {one.forecast.issued_at: one for one in ledger.archive.issues.between(INFO, 0, 9000)}
    while thin(0, 5000, 4000):  # what was referred to goes once those that did are gone
        pass
    left = {one.forecast.issued_at: one for one in ledger.archive.issues.between(INFO, 0, 9000)}
    assert set(left) >= {0, 2500, 4000, 5000, 5500}
    assert set(left) <= {0, 2000, 2500, 4000, 5000, 5500}
    assert all(before[at] == one for at, one in left.items())
