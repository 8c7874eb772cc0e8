from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.intensity.values import mg_from_number, mg_from_text, parse_instant


@pytest.mark.parametrize(
    ("text", "mg"),
    [
        ("421.76", 421760),
        (" 84 ", 84000),
        ("0.0005", None),  # half a milligram rounds to the even 0, which is missing
        ("0.0015", 2),
        ("120.0005", 120000),
        ("120.0015", 120002),
        ("1e2", 100000),
        ("5000", 5_000_000),
        ("+3.", 3000),
    ],
)
def test_grams_become_milligrams_half_to_even(text, mg):
    assert mg_from_text(text) == mg


@pytest.mark.parametrize("text", ["", " ", "0", "0.0", "-0", "0e9", "null", "NaN", "None", "-"])
def test_absent_and_zero_are_missing(text):
    assert mg_from_text(text) is None


@pytest.mark.parametrize(
    "text",
    ["abc", "-1", "5000.001", "1e99", "1_000", "١٢", "0x10", "1,5", "inf", "12 g", "\n1\x00"],
)
def test_what_is_no_intensity_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"^'.*'( is| g/kWh is)[^\n]*$"):
        mg_from_text(text)


@pytest.mark.parametrize("number", ["0", "-0", "0.0004", "1e-999999"])
def test_a_zero_with_proof_is_a_value(number):
    assert mg_from_number(Decimal(number), zero=True) == 0
    assert mg_from_number(Decimal(number)) is None
    assert mg_from_number(Decimal("nan"), zero=True) is None


@pytest.mark.parametrize("text", ["1e-999999", "1e-999999999999999999"])
def test_a_number_too_small_to_compute_is_missing(text):
    assert mg_from_number(Decimal(text)) is None


def test_a_number_of_a_thousand_digits_is_refused():
    with pytest.raises(ValueError, match="too many digits"):
        mg_from_number(Decimal("1." + "1" * 1000))


@given(st.decimals(min_value=Decimal("0.001"), max_value=5000, places=6))
def test_rounding_is_exact(grams):
    mg = mg_from_text(f"{grams:f}")
    assert mg is not None
    assert abs(Fraction(grams) * 1000 - mg) <= Fraction(1, 2)


@given(st.text(max_size=20))
def test_any_text_is_a_number_missing_or_a_value_error(text):
    try:
        value = mg_from_text(text)
    except ValueError:
        return
    assert value is None or 0 < value <= 5_000_000


@given(st.text(alphabet="0123456789T:+-Z. W", max_size=25))
def test_any_text_is_an_instant_or_a_value_error(text):
    try:
        at = parse_instant(text)
    except ValueError:
        return
    assert at >= 0


@given(
    st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001 - zoned below
    st.integers(-840, 840),
)
def test_every_spelling_of_an_instant_is_the_same(moment, offset):
    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    at = parse_instant(aware.isoformat())
    assert at == int(aware.timestamp())
    assert parse_instant(aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")) == at


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2021-07-01T00:00", "no time zone"),
        ("2021-07-01", "no time zone"),
        ("20210701", "no time zone"),
        ("2021-13-01T00:00Z", "not a time"),
        ("2021-07-01T00:00:00.5Z", "whole second"),
        ("1969-01-01T00:00Z", "since 1970"),
        ("", "not a time"),
        ("yesterday\n\x1b[2J", "not a time"),
    ],
)
def test_what_is_no_instant_is_refused_in_one_clean_line(text, why):
    with pytest.raises(ValueError, match=why) as caught:
        parse_instant(text)
    assert str(caught.value).isprintable()


def test_epoch_seconds_are_an_instant():
    assert parse_instant("1625097600") == parse_instant("2021-07-01T00:00Z") == 1625097600
