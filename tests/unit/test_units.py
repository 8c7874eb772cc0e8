"""Arithmetic that must be exact, and figures as people read them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.units import (
    apportion,
    emissions_mg,
    format_duration,
    format_energy,
    format_mass,
    ppm,
    to_mg,
)

whole = st.integers(0, 10**12)


@given(whole, st.integers(1_000_000, 3_000_000), st.integers(0, 2_000_000))
def test_emissions_are_energy_times_pue_times_intensity_without_rounding(energy_j, pue, intensity):
    kwh = Fraction(energy_j, 3_600_000)
    assert emissions_mg(energy_j, pue, intensity) == kwh * Fraction(pue, 10**6) * intensity


@given(st.lists(whole, max_size=20), st.integers(1_000_000, 3_000_000), st.integers(0, 2_000_000))
def test_emissions_of_parts_add_up_to_those_of_the_whole(parts, pue, intensity):
    each = sum((emissions_mg(part, pue, intensity) for part in parts), start=Fraction(0))
    assert each == emissions_mg(sum(parts), pue, intensity)


def test_one_kilowatt_hour_at_pue_one_weighs_the_intensity():
    assert emissions_mg(3_600_000, 1_000_000, 412_345) == 412_345


@pytest.mark.parametrize(
    ("exact", "mg"),
    [("1/2", 0), ("3/2", 2), ("5/2", 2), ("-1/2", 0), ("-3/2", -2), ("7/3", 2), ("1001/2000", 1)],
)
def test_milligrams_round_half_to_even(exact, mg):
    assert to_mg(Fraction(exact)) == mg


def test_ratios_in_parts_per_million():
    assert (ppm(1.25), ppm(1.0), ppm(1.1234567)) == (1_250_000, 1_000_000, 1_123_457)


@pytest.mark.parametrize(
    ("mg", "text"),
    [
        (None, "-"),
        (0, "0 mg"),
        (-5, "-5 mg"),
        (999, "999 mg"),
        (1000, "1.00 g"),
        (1240, "1.24 g"),
        (9_994, "9.99 g"),
        (9_999, "10.0 g"),
        (99_949, "99.9 g"),
        (99_960, "100 g"),
        (999_499, "999 g"),
        (999_600, "1.00 kg"),
        (-999_600, "-1.00 kg"),
        (3_500_000, "3.50 kg"),
        (999_700_000, "1.00 t"),
        (12_345_000_000, "12.3 t"),
        (10**13, "10000 t"),
    ],
)
def test_masses_as_people_read_them(mg, text):
    assert format_mass(mg) == text


@pytest.mark.parametrize(
    ("joules", "text"),
    [
        (None, "-"),
        (0, "0 J"),
        (-850, "-850 J"),
        (3599, "3599 J"),
        (3600, "1.00 Wh"),
        (-3600, "-1.00 Wh"),
        (35_999, "10.0 Wh"),
        (3_599_000, "1.00 kWh"),
        (3_600_000, "1.00 kWh"),
        (36_000_000_000, "10.0 MWh"),
        (3_599_900_000_000, "1.00 GWh"),
    ],
)
def test_energies_as_people_read_them(joules, text):
    assert format_energy(joules) == text


@given(st.integers(1000, 10**12 - 10**9), st.sampled_from([format_mass, format_energy]))
def test_figures_have_three_digits_and_are_within_half_a_percent(value, write):
    units = {"mg": 1, "g": 10**3, "kg": 10**6, "t": 10**9}
    units |= {"J": 1, "Wh": 3600, "kWh": 3.6e6, "MWh": 3.6e9, "GWh": 3.6e12}
    number, unit = write(value).split()
    assert float(number) * units[unit] == pytest.approx(value, rel=0.0051)
    if unit != "J":
        assert sum(letter.isdigit() for letter in number) == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "00:00:00"),
        (59.4, "00:00:59"),
        (59.6, "00:01:00"),
        (-61, "-00:01:01"),
        (86_399, "23:59:59"),
        (86_400, "1-00:00:00"),
        (-90_061, "-1-01:01:01"),
        (100 * 86_400, "100-00:00:00"),
    ],
)
def test_durations_in_slurms_form(seconds, text):
    assert format_duration(seconds) == text


weights = st.dictionaries(st.text(max_size=3), st.integers(0, 10**6), min_size=1).filter(
    lambda given: any(given.values())
)


@given(st.integers(-(10**12), 10**12), weights, st.randoms(use_true_random=False))
def test_shares_add_up_whatever_the_order(total, given_weights, chance):
    shares = apportion(total, given_weights)
    assert sum(shares.values()) == total
    names = list(given_weights)
    chance.shuffle(names)
    assert apportion(total, {name: given_weights[name] for name in names}) == shares
    whole_weight = sum(given_weights.values())
    for name, weight in given_weights.items():
        assert abs(shares[name] - Fraction(total * weight, whole_weight)) < 1


def test_what_is_left_over_goes_to_the_largest_remainder_then_the_smaller_key():
    assert apportion(10, {"b": 1, "a": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert apportion(-1, {"b": 1, "a": 1}) == {"a": 0, "b": -1}
    assert apportion(7, {"only": 5, "none": 0}) == {"only": 7, "none": 0}


@pytest.mark.parametrize("bad", [{}, {"a": 0}, {"a": 2, "b": -1}, {"a": -1}])
def test_weights_that_divide_nothing_are_refused(bad):
    with pytest.raises(ValueError, match="weights"):
        apportion(5, bad)
