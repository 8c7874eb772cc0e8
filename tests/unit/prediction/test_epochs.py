from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochPart, EpochRecord
from carbonsched.model.prediction import PredictionSource
from carbonsched.prediction import from_epochs

STARTED = 1_700_000_000


def epoch(number: int, start_s: float, length_s: float, joules: float, **more) -> EpochRecord:
    values = {
        "node": "n1",
        "epochs": 10,
        "relative_sd": 0.05,
        "samples": 100,
        **more,
    }
    return EpochRecord(
        cluster="c",
        job_id=1,
        restarts=0,
        uid=1,
        epoch=number,
        started_ms=round((STARTED + start_s) * 1000),
        duration_ms=round(length_s * 1000),
        energy_millij=round(joules * 1000),
        quality=Quality.MODELLED,
        **values,
    )


def even(count: int, **more) -> list[EpochRecord]:
    return [epoch(i + 1, 30 + 100 * i, 100, 20_000, **more) for i in range(count)]


def test_first_epoch_times_the_remaining_ones_and_the_start_up_once():
    one = from_epochs(even(1), epochs_total=10, started_at=STARTED)
    assert one.source is PredictionSource.EPOCHS
    assert one.samples == 1
    assert one.duration_s == 30 + 10 * 100
    assert one.energy_j == 10 * 20_000 + 30 * 200  # start-up at the power of the epochs
    assert one.duration_low_s < one.duration_s < one.duration_high_s
    assert one.energy_low_j < one.energy_j < one.energy_high_j
    assert one.explanation == "from its first epoch, 10 in all"


def test_what_the_marks_say_stands_in_for_what_the_owner_did_not_declare():
    assert from_epochs(even(1), epochs_total=None, started_at=STARTED).duration_s == 1030
    unknown = even(1, epochs=None)
    assert from_epochs(unknown, epochs_total=None, started_at=STARTED) is None
    assert from_epochs(unknown, epochs_total=20, started_at=STARTED).duration_s == 2030
    assert from_epochs([], epochs_total=20, started_at=STARTED) is None


def test_variation_within_the_epoch_widens_the_interval():
    calm, rough = (
        from_epochs(even(1, relative_sd=sd), epochs_total=10, started_at=STARTED)
        for sd in (None, 0.9)
    )
    assert rough.duration_high_s > calm.duration_high_s
    assert rough.energy_low_j < calm.energy_low_j
    few = from_epochs(even(1, relative_sd=0.9, samples=4), epochs_total=10, started_at=STARTED)
    assert few.duration_high_s > rough.duration_high_s


def test_more_epochs_narrow_the_interval_and_the_last_one_closes_it():
    widths, halves = [], []
    for count in (1, 2, 4, 8, 10):
        made = from_epochs(even(count), epochs_total=10, started_at=STARTED)
        assert made.duration_s == 1030
        widths.append(made.duration_high_s - made.duration_low_s)
        halves.append(made.duration_p75_s - made.duration_p25_s)
    assert widths == sorted(widths, reverse=True)
    assert all(half < width for half, width in zip(halves[:-1], widths[:-1], strict=True))
    assert (halves[-1], widths[-1]) == (0, 0)


def test_of_energy_outside_epochs_half_is_left_out_at_the_lower_quartile():
    """All epochs are done, so only the 100 s before the first, at 200 W at most, are in doubt."""
    marks = [epoch(number + 1, 100 + 100 * number, 100, 20_000) for number in range(3)]
    made = from_epochs(marks, epochs_total=3, started_at=STARTED)
    assert made.energy_j == 60_000 + 20_000
    assert (made.energy_low_j, made.energy_p25_j) == (60_000, 70_000)
    assert (made.energy_p75_j, made.energy_high_j) == (80_000, 80_000)


def test_nodes_of_a_job_are_summed_and_an_epoch_waits_for_all_of_them():
    both = even(2) + even(2, node="n2")
    one = from_epochs(both, epochs_total=10, started_at=STARTED, node_count=2)
    assert one.energy_j == 10 * 40_000 + 30 * 400
    late = from_epochs(both[:-1], epochs_total=10, started_at=STARTED, node_count=2)
    assert late.samples == 1
    assert from_epochs([*both, *both], epochs_total=10, started_at=STARTED, node_count=2) == one


def test_silent_nodes_are_taken_to_be_alike_and_that_is_said():
    one = from_epochs(even(2), epochs_total=10, started_at=STARTED, node_count=4)
    assert one.energy_j == 4 * (10 * 20_000 + 30 * 200)
    assert "1 of 4 nodes report epochs" in one.explanation


def test_pauses_between_epochs_repeat():
    marks = [epoch(1, 0, 100, 1000), epoch(2, 110, 100, 1000)]
    made = from_epochs(marks, epochs_total=10, started_at=STARTED)
    assert made.duration_s == 10 * 100 + 9 * 10


def test_a_slow_first_epoch_is_left_out_once_there_are_three():
    marks = [epoch(1, 0, 200, 9000), epoch(2, 200, 100, 1000), epoch(3, 300, 100, 1000)]
    made = from_epochs(marks, epochs_total=10, started_at=STARTED)
    assert made.duration_s == pytest.approx(400 + 7 * 100, rel=0.02)
    assert made.energy_j == pytest.approx(11_000 + 7000, rel=0.02)


def parted(number: int, start_s: float, seconds: list[float], **more) -> EpochRecord:
    """An epoch in parts at 200 W, or at ``watts``."""
    watts = more.pop("watts", 200)
    parts = tuple(
        EpochPart(duration_ms=round(1000 * one), energy_millij=round(1000 * one * watts))
        for one in seconds
    )
    joules = sum(part.energy_millij for part in parts) / 1000
    return epoch(number, start_s, sum(seconds), joules, steps=len(parts), parts=parts, **more)


def test_warm_up_within_the_first_epoch_counts_once():
    first = parted(1, 0, [50, 20] + 8 * [10])
    made = from_epochs([first], epochs_total=10, started_at=STARTED)
    assert made.duration_s == pytest.approx(150 + 9 * 100, rel=0.015)
    assert made.energy_j == pytest.approx(200 * (150 + 9 * 100), rel=0.015)
    assert made.explanation.endswith("its first epoch's warm-up counts once")


def test_parts_of_several_nodes_are_added_up_where_all_have_as_many():
    seconds = [50, 20] + 8 * [10]
    both = [parted(1, 0, seconds), parted(1, 0, seconds, node="n2", watts=100)]
    made = from_epochs(both, epochs_total=10, started_at=STARTED, node_count=2)
    assert made.energy_j == pytest.approx(300 * (150 + 9 * 100), rel=0.015)
    other = [both[0], parted(1, 0, [*seconds[:-1], 5, 5], node="n2")]
    plain = from_epochs(other, epochs_total=10, started_at=STARTED, node_count=2)
    assert plain.duration_s == 10 * 150


def test_declared_validation_is_expected_before_it_is_seen():
    without, declared = (
        from_epochs(even(1), epochs_total=10, started_at=STARTED, validate_every=every)
        for every in (None, 5)
    )
    assert without.duration_s < declared.duration_s < 1.1 * without.duration_s


def test_a_resumed_job_counts_only_what_it_runs_itself():
    marks = [epoch(51, 20, 100, 1000, epochs=60), epoch(52, 120, 100, 1000, epochs=60)]
    made = from_epochs(marks, epochs_total=60, started_at=STARTED)
    assert made.duration_s == 20 + 10 * 100
    assert made.energy_j == 10 * 1000 + 20 * 10
    assert "up to number 52" in made.explanation


def test_a_lost_mark_is_filled_in():
    marks = [one for one in even(3) if one.epoch != 2]
    made = from_epochs(marks, epochs_total=10, started_at=STARTED)
    assert made.duration_s == 1030
    assert made.energy_j == pytest.approx(206_000, rel=0.01)


def test_more_epochs_than_declared_predict_what_has_been_used():
    made = from_epochs(even(3), epochs_total=2, started_at=STARTED)
    assert made.duration_s == 330


@given(
    st.lists(
        st.tuples(st.floats(0.01, 1e4), st.floats(0, 1e7), st.floats(0, 50)),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 500),
    st.none() | st.floats(0, 3),
    st.integers(-100, 1000),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_any_epochs_make_a_prediction_that_holds_together(parts, total, sd, start_up_s, chance):
    at_s, marks = float(start_up_s), []
    for index, (length_s, joules, pause_s) in enumerate(parts):
        marks.append(epoch(index + 1, at_s, length_s, joules, relative_sd=sd))
        at_s += length_s + pause_s
    made = from_epochs(marks, epochs_total=total, started_at=STARTED)
    used_j = sum(mark.energy_millij for mark in marks) / 1000
    assert made.energy_j >= int(used_j)
    assert made.energy_low_j >= int(used_j) - 1
    assert None not in (made.duration_p25_s, made.duration_p75_s)
    chance.shuffle(marks)
    again = from_epochs(marks, epochs_total=total, started_at=STARTED)
    assert again == made
    longer = from_epochs(marks, epochs_total=total + 1, started_at=STARTED)
    assert longer.duration_s >= made.duration_s
    assert replace(made, samples=0) != made
