from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.intensity.factors import factor_set, output
from carbonsched.intensity.mix import Slot, Whole
from carbonsched.intensity.residual import LOAD, TOTAL, Relation

HOUR = 3600
FACTORS = factor_set()
WIND = {"wind_onshore"}


def hour(at, load, **generation):
    mix = {fuel: Fraction(value) for fuel, value in generation.items()}
    beside = {LOAD: Fraction(load)} if load else {}
    return Whole(at * HOUR, (at + 1) * HOUR, mix, output(mix, FACTORS), beside)


def ahead(**values):
    return Slot(0, HOUR, {name: Fraction(value) for name, value in values.items()})


def merit_order(n):
    """Nuclear always, then gas up to 1000 MW, then coal; three days of rising residual load."""
    rest = 20 * n
    return hour(
        n,
        500 + rest + n,
        nuclear=500,
        gas=min(rest, 1000),
        coal=max(rest - 1000, 0),
        wind_onshore=n,
    )


PAST = [merit_order(n) for n in range(72)]


def test_a_windy_hour_and_a_still_one():
    relation = Relation.learnt(PAST, WIND, FACTORS)
    low = relation.point(ahead(load=3000, wind_onshore=2200)).mg_per_kwh
    high = relation.point(ahead(load=3000, wind_onshore=1100)).mg_per_kwh
    assert low < high


def test_the_nearest_twelve_hours_are_expected_again():
    relation = Relation.learnt(PAST, WIND, FACTORS)
    load, wind = PAST[40].beside[LOAD], Fraction(40)
    nearest = PAST[34:46]  # on a tie the lower one
    amount = sum(one.output.amount - one.generation["wind_onshore"] for one in nearest) / 12
    grams = sum(one.output.grams - 11 * one.generation["wind_onshore"] for one in nearest) / 12
    told = relation.point(ahead(load=load, wind_onshore=wind))
    assert told.mg_per_kwh == round(1000 * (grams + 11 * wind) / (amount + wind))


def test_a_forecast_of_all_generation_says_how_much_and_the_past_of_what():
    relation = Relation.learnt(PAST, WIND, FACTORS)
    alone = relation.point(ahead(load=2000, wind_onshore=0)).mg_per_kwh
    assert relation.point(ahead(load=2000, wind_onshore=0, total=9000)).mg_per_kwh == alone
    more_wind = relation.point(ahead(load=3000, wind_onshore=1000, total=2000)).mg_per_kwh
    assert more_wind == pytest.approx((alone * 1000 + 11_000 * 1000) / 2000, abs=1)
    all_wind = relation.point(ahead(load=3000, wind_onshore=1000, total=900)).mg_per_kwh
    assert all_wind == 11_000


@pytest.mark.parametrize(
    "values", [{"wind_onshore": 5}, {"load": 900}, {"load": 0, "wind_onshore": 1}]
)
def test_where_a_forecast_is_missing_so_is_the_point(values):
    assert Relation.learnt(PAST, WIND, FACTORS).point(ahead(**values)) is None


def test_too_little_past_or_wind_without_a_forecast_is_refused():
    with pytest.raises(ValueError, match="less than 48 hours"):
        Relation.learnt(PAST[:47], WIND, FACTORS)
    unknown = [hour(n, 0, gas=1) for n in range(72)]
    with pytest.raises(ValueError, match="less than 48 hours"):
        Relation.learnt(unknown, WIND, FACTORS)
    windy = [hour(n, 900, gas=100, wind_onshore=50) for n in range(72)]
    with pytest.raises(ValueError, match="wind onshore has no forecast"):
        Relation.learnt(windy, {"solar"}, FACTORS)


@given(
    st.lists(st.tuples(*[st.integers(0, 3000)] * 4), min_size=48, max_size=72),
    st.integers(1, 9000),
    st.integers(0, 9000),
    st.none() | st.integers(0, 9000),
)
def test_what_is_expected_lies_between_the_factors_of_what_generated(past, load, wind, total):
    hours = [
        hour(n, 1 + coal + gas + windy, coal=coal, gas=gas, wind_onshore=windy, hydro=hydro)
        for n, (coal, gas, windy, hydro) in enumerate(past)
    ]
    more = {} if total is None else {TOTAL: total}
    told = Relation.learnt(hours, WIND, FACTORS).point(ahead(load=load, wind_onshore=wind, **more))
    assert told is None or 11_000 <= told.mg_per_kwh <= 820_000
    if any(coal + gas + hydro for coal, gas, _, hydro in past) is False and wind:
        assert told.mg_per_kwh == 11_000
