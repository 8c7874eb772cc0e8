from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from carbonsched.intensity.factors import factor_set, output
from carbonsched.intensity.mix import (
    KNOWN_S,
    Step,
    Usual,
    points,
    slots,
    steps_of,
    whole,
    without_holes,
)
from carbonsched.model.intensity import StepSeries

HOUR = 3600
FACTORS = factor_set()
FUELS = {"a": "coal", "b": "gas", "c": "wind_onshore", "d": "storage"}


def steps(values, step_s=HOUR, start=0):
    """One step for each value; ``None`` leaves a gap."""
    return tuple(
        Step(start + n * step_s, start + (n + 1) * step_s, Fraction(value))
        for n, value in enumerate(values)
        if value is not None
    )


rows = st.lists(st.none() | st.integers(0, 5000), min_size=1, max_size=12)
series = st.fixed_dictionaries(
    {
        name: st.builds(steps, rows, st.sampled_from([900, 1800, HOUR]))
        for name in ("a", "b", "c", "d", "load")
    }
)


@given(series)
def test_slots_keep_each_series_energy_and_do_not_overlap(given_series):
    cut = slots(given_series)
    assert all(one.end_at <= two.start_at for one, two in pairwise(cut))
    for name, some in given_series.items():
        before = sum(step.value * (step.end_at - step.start_at) for step in some)
        after = sum(
            slot.values[name] * (slot.end_at - slot.start_at) for slot in cut if name in slot.values
        )
        assert before == after


@given(series)
def test_points_are_those_of_whole_mixes(given_series):
    found, partial = whole(slots(given_series), FUELS, FACTORS)
    assert partial >= 0
    told = points(found)
    assert StepSeries(told).points == told
    by_start = {one.start_at: one for one in found}
    for point in told:
        generation = by_start[point.start_at].generation
        assert point.mg_per_kwh == output(generation, FACTORS).mg_per_kwh
        assert set(by_start[point.start_at].beside) <= {"load"}
        assert 11_000 <= point.mg_per_kwh <= 820_000


def test_a_time_without_what_counts_is_left_out():
    some = {"a": steps([100, None, 100]), "b": steps([100, 100, 100])}
    found, partial = whole(slots(some), {"a": "coal", "b": "gas"}, FACTORS)
    assert ([one.start_at for one in found], partial) == ([0, 2 * HOUR], 1)


def test_a_little_of_it_that_emits_much_counts_too():
    # 2 % of the output, and most of the emissions.
    some = {"a": steps([2, None]), "b": steps([98, 98])}
    found, _ = whole(slots(some), {"a": "coal", "b": "wind_onshore"}, FACTORS)
    assert [one.start_at for one in found] == [0]
    found, _ = whole(slots(some), {"a": "wind_onshore", "b": "gas"}, FACTORS)
    assert [one.start_at for one in found] == [0, HOUR]


def test_a_series_that_never_had_a_value_is_not_missed():
    some = {"a": (), "b": steps([98, 98])}
    assert len(whole(slots(some), {"a": "coal", "b": "gas"}, FACTORS)[0]) == 2


def test_what_these_slots_do_not_name_is_missed_by_what_is_usual():
    coal = {"a": Usual(output({"coal": Fraction(50)}, FACTORS), (-HOUR,))}
    cut = slots({"b": steps([98, 98])})
    assert whole(cut, {"b": "gas"}, FACTORS, coal) == ([], 2)


def test_a_series_is_missed_up_to_a_fortnight_from_a_value():
    usual = Usual(output({}, FACTORS), (0, 100 * KNOWN_S))
    assert [usual.misses(days * 86_400) for days in (1, 14, 15, 1385, 1386)] == [
        True, True, False, False, True
    ]  # fmt: skip
    assert not Usual(output({}, FACTORS), ()).misses(0)


def test_zeros_that_are_holes_are_missing():
    kept, holes = without_holes(steps([900, 900, 0, -4, 950, 900, 0]))
    assert ([int(step.value) for step in kept], holes) == ([900, 900, 950, 900], 3)


def test_zeros_that_are_a_standstill_stay():
    for values in ([900, 400, 100, 0, 0, 300, 900], [900, *[0] * 7, 900], [0, 0], [0] * 9, [5]):
        assert without_holes(steps(values)) == (steps(values), 0)


def test_equal_steps_count_once_and_contradicting_ones_not_at_all():
    some = [*steps([1, 2, 3]), *steps([1, 5])]
    assert steps_of(some) == (steps([1, None, 3]), 2)
