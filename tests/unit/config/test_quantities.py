from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.config.quantities import (
    DURATION_UNITS,
    MASS_UNITS,
    parse_date,
    parse_duration_s,
    parse_instant,
    parse_lifetime_s,
    parse_mass_mg,
    parse_memory_mb,
    parse_percent,
    parse_power_w,
    suggestion,
)

NUMBERS = st.integers(0, 10**6)
GAPS = st.sampled_from(["", " ", "  "])


@given(NUMBERS, st.sampled_from(sorted(DURATION_UNITS)), GAPS)
def test_a_length_of_time_is_number_times_unit(number, unit, gap):
    seconds = number * DURATION_UNITS[unit]
    if seconds > 10 * 366 * 86_400:
        with pytest.raises(ValueError, match="ten years"):
            parse_duration_s(f"{number}{gap}{unit}")
    else:
        assert parse_duration_s(f"{number}{gap}{unit}") == seconds


@given(st.integers(0, 300), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_parts_of_a_length_add_up(days, hours, minutes, seconds):
    text = f"{days}d {hours}h{minutes}min {seconds}s"
    assert parse_duration_s(text) == ((days * 24 + hours) * 60 + minutes) * 60 + seconds


@given(NUMBERS, st.sampled_from(sorted(MASS_UNITS)), GAPS)
def test_a_mass_is_number_times_unit(number, unit, gap):
    assert parse_mass_mg(f"{number}{gap}{unit}") == number * MASS_UNITS[unit]


@given(st.integers(0, 10**9))
def test_masses_come_back_exactly_from_each_unit(mg):
    assert parse_mass_mg(f"{mg // 1000}.{mg % 1000:03d} g") == mg
    assert parse_mass_mg(f"{mg // 10**6}.{mg % 10**6:06d} kg") == mg
    assert parse_mass_mg(f"{mg // 10**9}.{mg % 10**9:09d} t") == mg


def test_fractions_are_exact():
    assert parse_duration_s("0.1s") == Fraction(1, 10)
    assert parse_duration_s("250ms") == Fraction(1, 4)
    assert parse_mass_mg("1.5 t") == 1_500_000_000
    assert parse_power_w("1.2 kW") == 1200
    assert parse_percent("2.5%") == 2.5
    assert parse_memory_mb("1.5 TB") == 1536 * 1024
    assert parse_memory_mb("512000MB") == 512_000
    assert parse_lifetime_s("1 year") == 31_557_600
    assert parse_lifetime_s("4.5 years") == 142_009_200


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (parse_duration_s, "90", "write one of 90ms, 90s, 90min, 90h"),
        (parse_duration_s, "22:00", "a time of day"),
        (parse_duration_s, "1:00:00", "a time of day"),
        (parse_duration_s, "5m", "unknown unit 'm'"),
        (parse_duration_s, "6 hours", "unknown unit 'hours'"),
        (parse_duration_s, "-5s", "negative"),
        (parse_duration_s, "", "not a length"),
        (parse_duration_s, "s", "not a length"),
        (parse_duration_s, "1h, 30min", "not a length"),
        (parse_duration_s, "1e3s", "unknown unit 'e'"),
        (parse_duration_s, "١s", "not a length"),  # noqa: RUF001 - another script's digit
        (parse_mass_mg, "50", "write one of 50 mg, 50 g, 50 kg, 50 t"),
        (parse_mass_mg, "1 lb", "unknown unit 'lb'"),
        (parse_mass_mg, "1 kg 200 g", "not a mass"),
        (parse_mass_mg, "0.1 mg", "whole number of milligrams"),
        (parse_mass_mg, "1,5 t", "not a mass"),
        (parse_memory_mb, "0.1 GB", "not a whole number of megabytes"),
        (parse_memory_mb, "256 GiB", "unknown unit 'GiB'; the units are MB, GB, TB"),
        (parse_lifetime_s, "6y", "unknown unit 'y'; the units are years, year"),
        (parse_date, "2026-1-1", "not a date"),
        (parse_date, "2026-01-01T00:00Z", "not a date"),
        (parse_date, "2025-02-29", "not in the calendar"),
        (parse_power_w, "95", "write one of 95 W, 95 kW"),
        (parse_percent, "2", "write 2 %"),
        (parse_instant, "2021-07-05T00:00", "no offset"),
        (parse_instant, "tomorrow", "not a time"),
    ],
)
def test_what_is_not_a_quantity_is_told_with_the_remedy(parse, text, words):
    with pytest.raises(ValueError, match=words):
        parse(text)


@given(st.text(max_size=20))
def test_parsers_are_total(text):
    for parse in (
        parse_duration_s, parse_mass_mg, parse_power_w, parse_percent, parse_instant,
        parse_memory_mb, parse_lifetime_s, parse_date,
    ):  # fmt: skip
        with contextlib.suppress(ValueError):  # anything else would come through
            assert parse(text) is not None


def test_an_instant_keeps_its_offset():
    assert parse_instant("2021-07-05T02:00+02:00") == datetime(2021, 7, 5, tzinfo=UTC)


def test_suggestions():
    assert suggestion("perod", ["period", "monthly"]) == '; did you mean "period"?'
    assert suggestion("PUE", ["pue", "zone"]) == '; did you mean "pue"?'
    assert suggestion("xyz", ["b", "a"]) == "; known: a, b"
    assert suggestion("xyz", []) == ""
