from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.energy import Quality
from carbonsched.node.epoch_book import EpochBook, Mark, parse_mark

NS = 1_000_000_000
RUN = (7, 0)


def mark(event, epoch, sd=None, steps=0):
    return Mark(start=event == "start", epoch=epoch, epochs=9, steps=steps, step_relative_sd=sd)


class Book:
    def __init__(self):
        self.book = EpochBook("lab", "n1")

    def at(self, second, event, epoch, uj=0, quality=Quality.MEASURED, **more):
        return self.book.mark(
            RUN, 1000, mark(event, epoch, **more), round(second * NS), uj, quality
        )


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
        book.book.sample(RUN, Quality.MEASURED, watts)
        book.book.sample((8, 0), Quality.PARTIAL, 1e9)
    record = book.at(4, "end", 1)
    assert (record.relative_sd, record.samples) == (pytest.approx(0.1), 3)
    book.at(4, "start", 2)
    book.book.sample(RUN, Quality.MEASURED, 5.0)
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
        book.book.sample(RUN, quality, None)
    book.book.sample((8, 0), Quality.PARTIAL, None)
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


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"event": "pause"}, {"epoch": 0}, {"epoch": "1"}, {"epoch": True}, {"epochs": -1},
     {"epoch": 10**9}, {"steps": -1}, {"steps": 1.5}],
)  # fmt: skip
def test_marks_out_of_bounds_are_refused(change):
    good = {"v": 1, "event": "start", "epoch": 1, "epochs": 5, "steps": 0}
    assert parse_mark(json.dumps(good).encode()).epoch == 1
    with pytest.raises(ValueError, match=r"mark"):
        parse_mark(json.dumps(good | change).encode())


@pytest.mark.parametrize(
    ("mean", "sd", "expected"),
    [(2, 1, 0.5), (0, 1, None), (-1, 1, None), (1, -1, None), ("1", 1, None), (None, None, None),
     (1, float("nan"), None), (1e-320, 1e300, None), (1, 10**400, None), (True, 1, None)],
)  # fmt: skip
def test_step_times_that_make_no_sense_are_left_out(mean, sd, expected):
    text = json.dumps({"v": 1, "event": "end", "epoch": 1, "step_mean_s": mean, "step_sd_s": sd})
    assert parse_mark(text.encode()).step_relative_sd == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_a_mark_or_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own and json's messages
        parse_mark(text)


def test_deep_nesting_is_refused():
    with pytest.raises(ValueError, match="deep"):
        parse_mark(b"[" * 100_000)
