from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.accounting import current_period, period, periods_between
from carbonsched.errors import RequestError

ZONES = [
    "UTC",
    "Europe/Copenhagen",
    "America/Asuncion",
    "America/Havana",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
]
instants = st.integers(40_000_000, 4_000_000_000)


def test_a_month_is_the_site_s_and_knows_summer_time():
    march = period("2026-03", "Europe/Copenhagen")
    assert march.end_at - march.start_at == 31 * 86_400 - 3600
    assert datetime.fromtimestamp(march.start_at, ZoneInfo("Europe/Copenhagen")).hour == 0
    assert period("2026-12", "UTC").end_at == period("2027-01", "UTC").start_at


def test_a_month_without_a_midnight_begins_when_the_clock_jumps():
    october = period("2017-10", "America/Asuncion")
    local = datetime.fromtimestamp(october.start_at, ZoneInfo("America/Asuncion"))
    assert (local.month, local.day, local.hour) == (10, 1, 1)
    before = datetime.fromtimestamp(october.start_at - 1, ZoneInfo("America/Asuncion"))
    assert before.month == 9


@pytest.mark.parametrize("name", ["2026-13", "2026-1", "26-01", "", "2026-00", "0000-01", "x"])
def test_what_is_not_a_month_is_refused_with_the_remedy(name):
    with pytest.raises(RequestError, match="2026-11"):
        period(name, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_what_is_not_a_time_zone_is_refused_with_the_remedy(zone):
    with pytest.raises(RequestError, match="Europe/Copenhagen"):
        period("2026-01", zone)


@given(instants, st.sampled_from(ZONES))
@settings(max_examples=200)
def test_every_instant_lies_in_its_month_and_months_touch(at, zone):
    month = current_period(at, zone)
    assert month.start_at <= at < month.end_at
    assert current_period(month.end_at, zone).start_at == month.end_at
    assert current_period(month.start_at, zone) == month
    assert current_period(month.start_at - 1, zone).end_at == month.start_at


@given(instants, st.integers(0, 400 * 86_400), st.sampled_from(ZONES))
@settings(max_examples=60)
def test_months_between_cover_without_gap(start_at, length_s, zone):
    months = periods_between(start_at, start_at + length_s, zone)
    if length_s == 0:
        assert months == ()
        return
    assert months[0].start_at <= start_at < months[0].end_at
    assert months[-1].start_at < start_at + length_s <= months[-1].end_at
    ends = [month.end_at for month in months[:-1]]
    assert ends == [month.start_at for month in months[1:]]
