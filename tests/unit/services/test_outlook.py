"""What csinfo is told: hours, intervals, the cleanest window, and whose word it is."""

from __future__ import annotations

import pytest

from carbonsched.errors import RequestError
from carbonsched.model.intensity import Forecast, Point, SeriesInfo
from carbonsched.reports.documents import read_outlook
from carbonsched.reports.outlook import ASCII, zone_lines
from carbonsched.reports.terminal import Screen
from carbonsched.services.outlook import Outlook

HOUR = 3600
INFO = SeriesInfo(provider="recorded", zone="DE")


@pytest.fixture
def outlook(site):
    return Outlook(site.grid, site.clock)


def ahead(site, *g_per_kwh, band=None):
    at = site.clock.at
    points = tuple(
        Point(at + n * HOUR, at + (n + 1) * HOUR, value * 1000) for n, value in enumerate(g_per_kwh)
    )
    site.ledger.archive.add_forecast(
        Forecast(info=INFO, issued_at=at, points=points, band=band), at
    )  # fmt: skip


def test_a_zone_of_which_nothing_is_known(outlook):
    (zone,) = read_outlook(outlook.document((), 48, 3600))["zones"]
    assert (zone["zone"], zone["current"], zone["forecast_label"], zone["steps"], zone["window"]) \
        == ("DE", None, None, [], None)  # fmt: skip


def test_hours_and_the_cleanest_window(site, outlook):
    ahead(site, 300, 280, 100, 120, 300, 300)
    site.actual(site.clock.at - HOUR, 310)
    document = read_outlook(outlook.document(("DE",), 48, 2 * HOUR))
    (zone,) = document["zones"]
    at = site.clock.at
    assert [step["g_per_kwh"] for step in zone["steps"]] == [300, 280, 100, 120, 300, 300]
    assert zone["window"] == {
        "start_at": at + 2 * HOUR, "end_at": at + 4 * HOUR,
        "g_per_kwh": 110.0, "now_g_per_kwh": 290.0,
    }  # fmt: skip
    assert (zone["current"]["g_per_kwh"], zone["current"]["end_at"]) == (310.0, at)
    assert (zone["issued_at"], zone["ends_at"]) == (at, at + 6 * HOUR)


def test_hours_at_zero_are_shown_as_such(site, outlook):
    ahead(site, 0, 0, 0)
    (zone,) = read_outlook(outlook.document(("DE",), 48, HOUR))["zones"]
    assert [step["g_per_kwh"] for step in zone["steps"]] == [0, 0, 0]
    assert (zone["window"]["g_per_kwh"], zone["window"]["now_g_per_kwh"]) == (0, 0)
    screen = Screen(width=80, colour=False)
    lines = zone_lines(zone, site.clock.at, HOUR, screen, ASCII)
    assert any("0 g/kWh" in line for line in lines)


def test_hours_are_those_of_the_clock_and_end_where_they_were_asked_to(site, outlook):
    ahead(site, 300, 200, 100, band=((1000, 400_000), (2000, 300_000), (3000, 200_000)))
    site.clock.at += 600
    steps = outlook.document((), 2, None)["zones"][0]["steps"]
    at = site.clock.at - 600
    assert [(one["start_at"] - at, one["end_at"] - at) for one in steps] == [
        (600, HOUR), (HOUR, 2 * HOUR), (2 * HOUR, 2 * HOUR + 600),
    ]  # fmt: skip
    assert [(one["low"], one["high"]) for one in steps] == [(1, 400), (2, 300), (3, 200)]


def test_a_window_that_is_cleanest_now_begins_now(site, outlook):
    ahead(site, 100, 200, 300)
    site.clock.at += 120
    window = outlook.document((), 48, HOUR)["zones"][0]["window"]
    assert window["start_at"] == site.clock.at
    assert window["g_per_kwh"] == window["now_g_per_kwh"]


@pytest.mark.parametrize(("hours", "length_s"), [(2, 2 * HOUR + 1), (48, 3 * HOUR + 1)])
def test_no_window_beyond_the_forecast_or_the_hours_asked_for(site, outlook, hours, length_s):
    ahead(site, 100, 200, 300)
    assert outlook.document((), hours, length_s)["zones"][0]["window"] is None


def test_a_forecast_that_is_over_is_none(site, outlook):
    ahead(site, 100)
    site.clock.at += HOUR
    zone = outlook.document((), 48, HOUR)["zones"][0]
    assert (zone["forecast_label"], zone["steps"], zone["window"]) == (None, [], None)


def test_an_unknown_zone_is_named_with_those_that_there_are(outlook):
    with pytest.raises(RequestError, match=r"'XX'; this site has DE"):
        outlook.document(("XX",), 48, None)
