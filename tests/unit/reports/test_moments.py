from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import RequestError
from carbonsched.reports.moments import localised, parse_time, span, stamp, when, zone_named

BERLIN = ZoneInfo("Europe/Berlin")
NOW = int(datetime(2026, 11, 20, 14, 30, tzinfo=BERLIN).timestamp())


def at(*parts):
    return int(datetime(*parts, tzinfo=BERLIN).timestamp())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-01", at(2026, 11, 1)),
        ("2026-07-01T08:15", at(2026, 7, 1, 8, 15)),
        ("2026-11-01T08:15:30", at(2026, 11, 1, 8, 15, 30)),
        ("11/03", at(2026, 11, 3)),
        ("11/03/25", at(2025, 11, 3)),
        ("11.03.25-14:00", at(2025, 11, 3, 14)),
        ("08:05", at(2026, 11, 20, 8, 5)),
        ("8:05 PM", at(2026, 11, 20, 20, 5)),
        ("12:00 AM", at(2026, 11, 20)),
        ("midnight", at(2026, 11, 20)),
        ("today", at(2026, 11, 20)),
        ("noon", at(2026, 11, 20, 12)),
        ("now", NOW),
        ("now-3hours", NOW - 10_800),
        ("now-90", NOW - 90),
        ("now-1week", NOW - 604_800),
        ("now+1day", NOW + 86_400),
    ],
)
def test_times_as_sacct_takes_them(text, expected):
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-02-30", "25:00", "0:30 PM", "now-3years", "11/31"]
)
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(RequestError, match="write 2026-11-20"):
        parse_time(text, NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text):
    try:
        moment = parse_time(text, NOW)
    except RequestError:
        return
    assert isinstance(moment, int)


def test_instants_are_as_short_as_they_are_clear():
    assert when(None, NOW) == "-"
    assert when(NOW + 40, NOW) == "14:30:40"
    assert when(at(2026, 11, 20, 18, 0), NOW) == "18:00"
    assert when(at(2026, 11, 21, 2, 0), NOW) == "Sat 02:00"
    assert when(at(2026, 12, 1), NOW) == "12-01 00:00"
    assert when(at(2027, 1, 1), NOW) == "2027-01-01"
    assert stamp(None) == ""
    assert stamp(NOW) == "2026-11-20T14:30:00"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (22_320, "6h12m"), (21_600, "6h"),
     (187_200, "2d4h"), (-90, "1m")],
)  # fmt: skip
def test_lengths(seconds, text):
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("from about 2026-11-20 22:00:00 UTC on", "from about 23:00 on"),
        ("2026-11-21 01:00:00 UTC, not 2026-07-01 00:30:00 UTC", "Sat 02:00, not 07-01 02:30"),
        ("it is held (JobHeldAdmin)", "it is held (JobHeldAdmin)"),
        ("2026-99-21 01:00:00 UTC", "2026-99-21 01:00:00 UTC"),
        ("2026-11-21 01:00:00", "2026-11-21 01:00:00"),
    ],
)
def test_instants_in_a_text_of_the_daemons_are_local(text, shown):
    assert localised(text, NOW) == shown


def test_a_zone_this_machine_does_not_know_is_utc():
    assert zone_named("No/Where").utcoffset(None).total_seconds() == 0
    assert zone_named("../../etc/passwd").utcoffset(None).total_seconds() == 0
