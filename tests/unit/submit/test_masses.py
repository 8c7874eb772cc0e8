"""Masses as owners write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.submit.masses import parse_mass_mg

UNITS = {"mg": 1, "g": 1000, "kg": 10**6, "t": 10**9}


@given(st.integers(1, 999), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
def test_a_number_and_a_unit(count, unit, gap):
    assert parse_mass_mg(f"{count}{gap}{unit}") == count * UNITS[unit]


@given(st.integers(0, 999), st.integers(0, 999))
def test_a_fraction_is_exact(whole, thousandths):
    if whole or thousandths:
        assert parse_mass_mg(f"{whole}.{thousandths:03d}kg") == whole * 10**6 + thousandths * 1000


@pytest.mark.parametrize("text", ["", "100", "g", "-5g", "0g", "1e3g", "5 lb", "\u0663g", "nan g"])
def test_what_is_no_mass_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_mass_mg(text)


@given(st.text(max_size=12))
def test_any_text_is_a_mass_or_refused_in_one_line(text):
    said = ""
    try:
        assert parse_mass_mg(text) >= 1
    except ValueError as error:
        said = str(error)
    assert "\n" not in said
