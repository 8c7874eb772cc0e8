"""Whose forecast counts, what hours are ranked by, and our own forecast in the archive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from carbonsched.forecasting.hours import Hourly, hourly
from carbonsched.ledger.issues import IssueColumns
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo
from carbonsched.services.grid import OWN_WITHIN_S, Grid, Zone, own_info
from carbonsched.services.own import ENOUGH_H, EVERY_S, OwnForecasts, on_hours

HOUR = 3600
INFO = SeriesInfo(provider="recorded", zone="DE")
SECOND = replace(INFO, provider="second")
MARGINAL = replace(INFO, provider="other", kind="marginal")


def forecast(info, at, hours=24, mg=300_000):
    start = at // HOUR * HOUR
    points = tuple(
        Point(start + n * HOUR, start + (n + 1) * HOUR, mg + n % 24) for n in range(hours)
    )
    return Forecast(info=info, issued_at=at, points=points)


@pytest.fixture
def grid_of(site):
    def make(**fields):
        zone = Zone(**{"chain": (INFO, SECOND), "ranking": (MARGINAL,)} | fields)
        return Grid(site.ledger.archive, {"DE": zone}, HOUR)

    return make


@pytest.fixture
def add(site):
    return lambda one: site.ledger.archive.add_forecast(one, one.issued_at)


def test_our_own_goes_first_while_it_is_fresh(site, grid_of, add):
    at = site.clock.at
    own = own_info(INFO)
    add(forecast(own, at))
    add(forecast(INFO, at + 60))
    grid = grid_of()
    assert grid.forecast("DE", at + 120).info == own
    assert grid.forecast("DE", at + OWN_WITHIN_S).info == INFO
    assert grid_of(forecast="provider").forecast("DE", at + 120).info == INFO
    assert grid.forecast("DE", at - 1) is None
    assert grid.forecast("XX", at) is None


def test_signals_that_are_only_for_ranking_are_no_forecast(site, grid_of, add):
    at = site.clock.at
    add(forecast(INFO, at - 60))
    add(forecast(MARGINAL, at))
    grid = grid_of()
    assert grid.forecast("DE", at).info == INFO
    assert grid.ranking("DE", at).info == MARGINAL
    assert grid.ranking("DE", at + 25 * HOUR) is None, "it ends before that"
    assert grid_of(ranking=()).ranking("DE", at) is None


def test_of_the_providers_the_newest_issue_counts_and_of_equals_the_preferred(site, grid_of, add):
    at = site.clock.at
    add(forecast(SECOND, at))
    add(forecast(INFO, at))
    assert grid_of().forecast("DE", at).info == INFO
    add(forecast(SECOND, at + 1))
    assert grid_of().forecast("DE", at + 1).info == SECOND


def past(site, hours):
    end = site.clock.at // HOUR * HOUR
    points = tuple(
        Point(at, at + HOUR, 200_000 + 100_000 * (at // HOUR % 24) // 24)
        for at in range(end - hours * HOUR, end, HOUR)
    )
    site.ledger.archive.add_actual(
        IntensitySeries(info=INFO, fetched_at=site.clock.at, points=points)
    )


def test_ours_is_made_of_a_week_and_not_of_less(site, grid_of):
    own = OwnForecasts(site.ledger.archive, grid_of())
    past(site, ENOUGH_H - 1)
    assert own.issue("DE", site.clock.at) is None
    past(site, ENOUGH_H)
    again = OwnForecasts(site.ledger.archive, grid_of())
    made, inputs = again.issue("DE", site.clock.at)
    assert (made.info, made.issued_at) == (own_info(INFO), site.clock.at)
    assert made.ends_at >= site.clock.at + 95 * HOUR
    assert len(made.band) == len(made.points)
    assert all(low <= point.mg_per_kwh <= high
               for point, (low, high) in zip(made.points, made.band, strict=True))  # fmt: skip
    assert "no provider's forecast" in inputs
    assert OwnForecasts(site.ledger.archive, grid_of(forecast="provider")).issue(
        "DE", site.clock.at
    ) is None  # fmt: skip


def test_ours_rests_on_the_provider_that_still_issues(site, grid_of, add):
    """The preferred one stopped ten days ago; the other's newest forecast is of now."""
    past(site, 60 * 24)
    now, day = site.clock.at, 24 * HOUR
    for days in range(60, 9, -1):
        add(forecast(INFO, now - days * day, 96))
    for days in range(9, -1, -1):
        add(forecast(SECOND, now - days * day, 96))
    _, inputs = OwnForecasts(site.ledger.archive, grid_of()).issue("DE", now)
    assert inputs.startswith("provider's forecast, 96 h")
    add(forecast(INFO, now - 2 * HOUR, 96))
    again = OwnForecasts(site.ledger.archive, grid_of())
    _, inputs = again.issue("DE", now)
    assert "issued 2 h ago" in inputs, "the preferred one issues again"


def test_ours_is_made_anew_after_a_while_from_what_came_meanwhile(site, grid_of):
    archive = site.ledger.archive
    own = OwnForecasts(archive, grid_of())
    past(site, 2 * ENOUGH_H)
    first, inputs = own.issue("DE", site.clock.at)
    archive.add_forecast(first, site.clock.at, inputs)
    site.clock.at += EVERY_S - 1
    assert own.issue("DE", site.clock.at) is None
    site.clock.at += 5 * HOUR
    archive.add_forecast(forecast(INFO, site.clock.at, hours=12), site.clock.at)
    past(site, 2 * ENOUGH_H)
    held, inputs = own.issue("DE", site.clock.at)
    fresh, _ = OwnForecasts(archive, grid_of()).issue("DE", site.clock.at)
    assert held == fresh, "what is held in memory is what the archive says"
    assert "provider's forecast, 12 h" in inputs


@pytest.mark.parametrize("provider", [False, True])
def test_nights_of_true_zeros_are_forecast_as_such(site, grid_of, provider):
    end = site.clock.at // HOUR * HOUR

    def told(first, last):
        return tuple(
            Point(at, at + HOUR, 0 if at // HOUR % 24 < 6 else 40_000)
            for at in range(first, last, HOUR)
        )

    archive = site.ledger.archive
    archive.add_actual(
        IntensitySeries(
            info=INFO, fetched_at=site.clock.at, points=told(end - 3 * ENOUGH_H * HOUR, end)
        )
    )
    if provider:
        issued = Forecast(info=INFO, issued_at=end, points=told(end, end + 96 * HOUR))
        archive.add_forecast(issued, end)
    made, inputs = OwnForecasts(archive, grid_of()).issue("DE", site.clock.at)
    assert provider == ("no provider's forecast" not in inputs)
    night = [one.mg_per_kwh for one in made.points if one.start_at // HOUR % 24 < 6]
    day = [one.mg_per_kwh for one in made.points if one.start_at // HOUR % 24 >= 6]
    assert max(night) < 1000
    assert all(30_000 < mg < 50_000 for mg in day)


def columns(points):
    return IssueColumns(
        7, *(np.array(one, dtype=np.int64) for one in zip(*points, strict=True))
    )  # fmt: skip


@pytest.mark.parametrize("step", [300, 900, 1800, 3600, 7200, 5400])
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_issues_on_hours_are_what_points_on_hours_are(step, shift):
    start = 100 * HOUR + shift * 300
    rows = [(at, at + step, 1000 + at % 77) for at in range(start, start + 10 * HOUR, step)]
    rows.pop(4)
    expected = hourly([Point(*row) for row in rows], 100 * HOUR, rows[-1][1])
    found = on_hours(columns(rows)).hours
    assert isinstance(found, Hourly)
    end = (rows[-1][1] // HOUR) * HOUR
    np.testing.assert_allclose(
        found.between(100 * HOUR, end), expected.between(100 * HOUR, end), equal_nan=True
    )
