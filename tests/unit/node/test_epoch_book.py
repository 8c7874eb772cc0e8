from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.node.epoch_book import EpochBook
from carbonsched.node.mark_format import Mark

NS = 1_000_000_000
RUN = (7, 0)


def mark(event, epoch, sd=None, steps=0, ends_us=()):
    start = event == "start"
    return Mark(
        start=start, epoch=epoch, epochs=9, steps=steps, step_relative_sd=sd, part_ends_us=ends_us
    )


class Book:
    def __init__(self):
        self.book = EpochBook("lab", "n1")

    def at(self, second, event, epoch, uj=0, quality=Quality.MEASURED, **more):
        return self.book.mark(
            RUN, 1000, mark(event, epoch, **more), round(second * NS), uj, quality
        )

    def sample(self, quality, watts, run=RUN, second=2, uj=0):
        self.book.sample(run, round(second * NS), uj, quality, watts)


def test_with_several_ranks_the_first_start_and_the_first_end_count():
    book = Book()
    assert book.at(1, "start", 1, uj=1000) is None
    assert book.at(2, "start", 1, uj=5000) is None
    record = book.at(4, "end", 1, uj=9500)
    assert (record.started_ms, record.duration_ms, record.energy_millij) == (1000, 3000, 8)
    assert (record.relative_sd, record.samples, record.quality) == (None, 0, Quality.MEASURED)
    assert book.at(5, "end", 1) is None
    assert book.at(5, "start", 1) is None
    assert book.at(6, "end", 1) is None


def test_ranks_one_epoch_apart_are_both_kept_and_a_lost_end_is_dropped():
    book = Book()
    book.at(1, "start", 1)
    book.at(2, "start", 2)
    assert book.at(3, "end", 1).epoch == 1
    book.at(3, "start", 3)
    book.at(4, "start", 4)
    assert book.at(5, "end", 2) is None
    assert book.at(5, "end", 4).epoch == 4
    assert book.at(6, "end", 3) is None


def test_step_times_win_over_power_and_power_is_welfords():
    book = Book()
    book.at(1, "start", 1)
    for watts in (100.0, 110.0, 90.0):
        book.sample(Quality.MEASURED, watts)
        book.sample(Quality.PARTIAL, 1e9, run=(8, 0))
    record = book.at(4, "end", 1)
    assert (record.relative_sd, record.samples) == (pytest.approx(0.1), 3)
    book.at(4, "start", 2)
    book.sample(Quality.MEASURED, 5.0)
    record = book.at(6, "end", 2, sd=0.25, steps=40)
    assert (record.relative_sd, record.samples) == (0.25, 40)


def test_a_gap_makes_a_measured_epoch_partial_and_leaves_a_modelled_one():
    for quality, expected in ((Quality.MEASURED, "partial"), (Quality.MODELLED, "modelled")):
        book = Book()
        book.at(1, "start", 1)
        book.book.note_gap()
        assert book.at(2, "end", 1, quality=quality).quality == expected


def test_an_epoch_is_as_good_as_its_worst_sample():
    book = Book()
    book.at(1, "start", 1)
    for quality in (Quality.SAMPLED, Quality.MEASURED):
        book.sample(quality, None)
    book.sample(Quality.PARTIAL, None, run=(8, 0))
    record = book.at(2, "end", 1)
    assert (record.quality, record.samples) == (Quality.SAMPLED, 0)


def test_epochs_of_a_run_that_is_gone_are_forgotten():
    book = Book()
    book.at(1, "start", 1)
    book.at(2, "end", 1)
    book.book.keep([])
    book.at(3, "start", 1)
    assert book.at(4, "end", 1) is not None


def test_an_epoch_too_short_to_have_a_length_is_none():
    book = Book()
    book.at(1, "start", 1)
    assert book.at(1.0001, "end", 1) is None


def parts(record):
    return [(one.duration_ms, one.energy_millij) for one in record.parts]


def test_parts_have_the_energy_of_their_own_time_and_add_up():
    book = Book()
    book.at(10, "start", 1, uj=5_000_000)
    # 100 W for 4 s, then 20 W for 6 s; the second rank started a second later.
    for second in range(11, 20):
        used_j = 100 * min(4, second - 10) + 20 * max(0, second - 14)
        book.sample(Quality.MEASURED, None, second=second, uj=5_000_000 + used_j * 10**6)
    ends_us = (1_500_000, 3_000_000, 4_500_000, 9_000_000)
    record = book.at(20, "end", 1, uj=525_000_999, steps=8, ends_us=ends_us)
    assert (record.steps, record.duration_ms, record.energy_millij) == (8, 10_000, 520_000)
    assert parts(record) == [(2_500, 250_000), (1_500, 150_000), (1_500, 30_000), (4_500, 90_000)]


def test_parts_survive_a_restart_and_a_state_without_them_goes_on():
    book = Book()
    book.at(0, "start", 1)
    book.sample(Quality.MEASURED, None, second=1, uj=9_000_000)
    state = json.loads(json.dumps(book.book.to_state()))
    for divided, expected in ((True, [9_000, 1_000]), (False, [5_000, 5_000])):
        if not divided:
            del state["open"][0]["course"]
        again = Book()
        again.book.load(state)
        record = again.at(2, "end", 1, uj=10_000_000, steps=2, ends_us=(1_000_000, 2_000_000))
        assert [one.energy_millij for one in record.parts] == expected


def test_a_long_epoch_is_kept_in_few_points():
    book = Book()
    book.at(0, "start", 1)
    for second in range(1, 10_000):
        book.sample(Quality.MEASURED, None, second=second, uj=second * 50_000_000)
    assert len(book.book.to_state()["open"][0]["course"]["points"]) < 64
    ends_us = tuple(500 * 10**6 * part for part in range(1, 21))
    record = book.at(10_000, "end", 1, uj=500_000_000_000, steps=10**9, ends_us=ends_us)
    assert parts(record) == [(500_000, 25_000_000)] * 20


@pytest.mark.parametrize(
    "ends_us",
    [
        (), (2_000_000, 1_000_000), (-1, 2_000_000), (1_000_000, 3_000_000),
        tuple(range(100_000, 2_200_000, 100_000)),
    ],
)  # fmt: skip
def test_an_epoch_whose_parts_make_no_sense_is_kept_without(ends_us):
    book = Book()
    book.at(1, "start", 1)
    record = book.at(3, "end", 1, uj=7_000_000, steps=50, ends_us=ends_us)
    assert (record.energy_millij, record.steps, record.parts) == (7_000, 50, ())


@given(
    st.lists(st.integers(0, 10**7), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(-(10**10), 10**11), st.integers(-(10**6), 10**9)), max_size=200),
    st.integers(NS // 1000, 10**11),
    st.integers(-5, 10**9),
)
def test_parts_always_add_up_whatever_clock_and_counter_did(ends, samples, duration_ns, used_uj):
    book = EpochBook("lab", "n1")
    book.mark(RUN, 1000, mark("start", 1), 10**11, 10**9, Quality.MEASURED)
    for ns, uj in samples:
        book.sample(RUN, 10**11 + ns, 10**9 + uj, Quality.MEASURED, None)
    end = mark("end", 1, steps=len(ends), ends_us=tuple(sorted(ends)))
    record = book.mark(RUN, 1000, end, 10**11 + duration_ns, 10**9 + used_uj, Quality.MEASURED)
    assert EpochRecord.from_wire(json.loads(json.dumps(record.to_wire()))) == record
    fits = max(ends) * 1000 <= duration_ns
    assert len(record.parts) == len(ends) or not fits
    if record.parts:
        assert sum(one.duration_ms for one in record.parts) == record.duration_ms
        assert sum(one.energy_millij for one in record.parts) == record.energy_millij
