from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.accounting import (
    charge_delta,
    job_charge,
    price_segment,
    saved_mg,
    segment_mg,
)
from carbonsched.model.intensity import Point, StepSeries
from carbonsched.units import emissions_mg

HOUR = 3600
GRID = StepSeries(
    tuple(Point(i * HOUR, (i + 1) * HOUR, 1000 * g) for i, g in enumerate([400, 100, 250]))
)
KWH = 3_600_000


def test_a_segment_across_two_hours_has_their_weighted_mean():
    priced = price_segment(HOUR - 900, HOUR + 2700, KWH, 1_000_000, GRID)
    assert priced.mg_per_kwh == (400_000 + 3 * 100_000) / Fraction(4)
    assert segment_mg(priced) == 175_000


def test_what_the_series_does_not_cover_has_no_price():
    assert price_segment(2 * HOUR, 4 * HOUR, KWH, 1_000_000, GRID) is None


def test_a_constant_intensity_prices_as_the_formula_in_units():
    priced = price_segment(0, 300, 12_345, 1_370_000, GRID)
    assert segment_mg(priced) == emissions_mg(12_345, 1_370_000, 400_000)


segments = st.lists(
    st.tuples(
        st.integers(0, 3 * HOUR - 2), st.integers(0, 10**7), st.integers(1_000_000, 2_000_000)
    ),
    max_size=30,
)


@given(segments, st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_the_sum_is_exact_in_any_order_and_entries_add_up_to_it(parts, chance):
    priced = [
        price_segment(at, min(at + 300, 3 * HOUR), joules, pue, GRID) for at, joules, pue in parts
    ]
    total = job_charge(priced)
    posted = 0
    for count in range(len(priced) + 1):
        posted += charge_delta(job_charge(priced[:count]), posted)
    assert posted == round(total)
    chance.shuffle(priced)
    assert job_charge(priced) == total


def test_a_revision_is_posted_as_the_difference():
    assert charge_delta(Fraction(1201, 2), 700) == -100


def flat(ppm):
    return lambda _start_at, _end_at: ppm


def test_saved_is_the_same_energy_at_the_baseline_s_hours_less_the_charge():
    known = {
        "energy_j": KWH,
        "pue": flat(1_000_000),
        "actual": GRID,
        "charged_mg": 100_000,
    }
    assert saved_mg(baseline_at=0, started_at=HOUR, ended_at=2 * HOUR, **known) == 300_000
    assert saved_mg(baseline_at=HOUR, started_at=HOUR, ended_at=2 * HOUR, **known) == 0
    assert saved_mg(baseline_at=5 * HOUR, started_at=6 * HOUR, ended_at=7 * HOUR, **known) is None
    assert saved_mg(baseline_at=0, started_at=HOUR, ended_at=HOUR, **known) is None
    nothing = {**known, "energy_j": 0, "charged_mg": 0}
    assert saved_mg(baseline_at=0, started_at=HOUR, ended_at=HOUR, **nothing) == 0
    dear = {**known, "charged_mg": 500_000}
    assert saved_mg(baseline_at=0, started_at=HOUR, ended_at=2 * HOUR, **dear) == -100_000


def test_what_would_have_been_has_the_pue_of_then_hour_by_hour():
    """2 h from 0: half the energy at 400 g and PUE 1.5, half at 100 g and PUE 1.1."""
    pues = {0: 1_500_000, HOUR: 1_100_000, 2 * HOUR: 1_200_000}
    asked = []

    def pue(start_at, end_at):
        asked.append((start_at, end_at))
        return pues.get(start_at)

    saved = saved_mg(
        energy_j=KWH, pue=pue, baseline_at=0, started_at=2 * HOUR, ended_at=4 * HOUR,
        actual=GRID, charged_mg=0,
    )  # fmt: skip
    assert saved == (1500 * 400 + 1100 * 100) / 2
    assert asked == [(0, HOUR), (HOUR, 2 * HOUR)]
    pues.pop(HOUR)
    unknown = saved_mg(
        energy_j=KWH, pue=pue, baseline_at=0, started_at=2 * HOUR, ended_at=4 * HOUR,
        actual=GRID, charged_mg=0,
    )  # fmt: skip
    assert unknown is None


@given(
    st.integers(0, 10**9), st.integers(10**6, 3 * 10**6), st.integers(0, 2 * HOUR),
    st.integers(1, HOUR),
)  # fmt: skip
def test_with_one_pue_it_is_the_mean_intensity_of_then(energy_j, pue, baseline_at, elapsed_s):
    saved = saved_mg(
        energy_j=energy_j, pue=flat(pue), baseline_at=baseline_at, started_at=0,
        ended_at=elapsed_s, actual=GRID, charged_mg=0,
    )  # fmt: skip
    mean = GRID.mean(baseline_at, baseline_at + elapsed_s)
    assert saved == round(Fraction(energy_j * pue, 3_600_000 * 10**6) * mean)
