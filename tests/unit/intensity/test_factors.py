from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.intensity.factors import (
    DIRECT,
    LIFECYCLE,
    STORAGE,
    UNKNOWN,
    eia_fuel,
    entsoe_fuel,
    factor_set,
    output,
)

SETS = [factor_set(LIFECYCLE), factor_set(DIRECT)]
FUELS = sorted(SETS[0].g_per_kwh)
amounts = st.fractions(min_value=0, max_value=10**6, max_denominator=1000)
mixes = st.dictionaries(st.sampled_from(FUELS), amounts, min_size=1)
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "providers.md"


def test_the_published_numbers():
    lifecycle, direct = SETS
    known = {"coal": 820, "gas": 490, "biomass": 230, "hydro": 24, "nuclear": 12, "solar": 48}
    assert {fuel: lifecycle.of(fuel) for fuel in known} == known
    assert [direct.of(fuel) for fuel in ("coal", "gas", "oil", "biomass")] == [760, 370, 406, 0]
    assert (lifecycle.of("fusion"), direct.of("fusion")) == (700, 575)
    assert (lifecycle.gas, lifecycle.scope) == ("CO2eq", "lifecycle")
    assert (direct.gas, direct.scope) == ("CO2", "direct")
    assert lifecycle.label == "emission factors ipcc-2014-lifecycle 1"


@pytest.mark.parametrize("factors", SETS, ids=lambda one: one.name)
def test_each_number_has_a_source_and_each_fuel_a_number(factors):
    assert set(factors.sources) == set(factors.g_per_kwh) == set(FUELS)
    assert all(len(source) > 5 for source in factors.sources.values())
    assert max(factors.g_per_kwh.values()) < 1000


def test_the_reference_prints_the_same_numbers():
    rows = re.findall(r"^\| ([a-z ()-]+) \| (\d+) \| (\d+) \|", REFERENCE.read_text(), re.MULTILINE)
    printed = {name.replace(" ", "_"): (int(life), int(chimney)) for name, life, chimney in rows}
    assert printed == {fuel: (SETS[0].of(fuel), SETS[1].of(fuel)) for fuel in FUELS}


def test_another_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'ipcc': choose one of ipcc-2014-direct, ipcc-2014-life"):
        factor_set("ipcc")


def test_codes_of_the_services():
    assert [entsoe_fuel(code) for code in ("B01", "B04", "B10", "B25")] == [
        "biomass",
        "gas",
        STORAGE,
        STORAGE,
    ]
    assert [eia_fuel(code) for code in ("COL", "SNB", "BAT", "PS", "UES")] == [
        "coal",
        "solar",
        STORAGE,
        STORAGE,
        STORAGE,
    ]
    for unheard in ("B15", "B20", "B99", "", "sun"):
        assert entsoe_fuel(unheard) == eia_fuel(unheard) == UNKNOWN
    named = {entsoe_fuel(f"B{n:02}") for n in range(30)} - {STORAGE}
    assert named == set(FUELS)


@given(mixes, st.sampled_from(SETS))
def test_an_intensity_is_exact_and_between_its_fuels_factors(mix, factors):
    told = output(mix, factors)
    burnt = {fuel: value for fuel, value in mix.items() if value > 0}
    assert told.amount == sum(burnt.values())
    assert told.grams == sum(factors.of(fuel) * value for fuel, value in burnt.items())
    mg = told.mg_per_kwh
    if not burnt or not told.grams:
        assert mg is None
        return
    least, most = (f(factors.of(fuel) for fuel in burnt) for f in (min, max))
    assert least * told.amount <= told.grams <= most * told.amount
    if mg is not None:
        assert least * 1000 <= mg <= most * 1000
        assert abs(mg - 1000 * told.grams / told.amount) <= Fraction(1, 2)


@given(mixes, amounts, st.sampled_from(FUELS), st.sampled_from(SETS))
def test_storage_and_what_takes_more_than_it_gives_change_nothing(mix, amount, fuel, factors):
    mix.pop(fuel, None)
    told = output(mix, factors)
    assert output(mix | {STORAGE: amount}, factors) == told
    assert output(mix | {STORAGE: -amount, fuel: -amount}, factors) == told


@given(mixes, st.fractions(min_value=Fraction(1, 1000), max_value=1000), st.sampled_from(SETS))
def test_the_unit_of_the_amounts_does_not_matter(mix, unit, factors):
    scaled = {fuel: value * unit for fuel, value in mix.items()}
    assert output(scaled, factors).mg_per_kwh == output(mix, factors).mg_per_kwh


def test_a_mix_without_emissions_is_missing_and_not_zero():
    assert output({"hydro": Fraction(900)}, factor_set(DIRECT)).mg_per_kwh is None
    assert output({"hydro": Fraction(900)}, factor_set(LIFECYCLE)).mg_per_kwh == 24_000
    assert output({}, factor_set(LIFECYCLE)).mg_per_kwh is None
