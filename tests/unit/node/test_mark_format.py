from __future__ import annotations

import array
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.epoch_mark import (
    BEGAN_S,
    BEGAN_WALL_S,
    CELLS,
    END,
    EPOCH,
    EPOCHS,
    EVENT,
    HEAD,
    KEPT_S,
    LAST_STEP_S,
    MARK_BYTES,
    MOST_KEPT,
    NEXT,
    SQUARES_S2,
    START,
    STEPS,
    STRIDE,
)
from carbonsched.node.mark_format import MAX_MARK_BYTES, parse_marks

SENT_NS = 1_700_000_010 * 10**9
INF, NAN = float("inf"), float("nan")


def read(version_1):
    (mark,) = parse_marks(json.dumps(version_1).encode(), SENT_NS)
    return mark


def cells(**told):
    """A mark of version 2: an epoch of 10 s whose four steps took 1, 2, 2 and 3 s."""
    good = {
        EVENT: END, EPOCH: 3, EPOCHS: 9, BEGAN_WALL_S: 1_700_000_000, BEGAN_S: 50, STEPS: 4,
        LAST_STEP_S: 58, SQUARES_S2: 18, STRIDE: 1, KEPT_S: 51, KEPT_S + 1: 53, KEPT_S + 2: 55,
        KEPT_S + 3: 58,
    }  # fmt: skip
    numbers = array.array("d", bytes(8 * (CELLS - 1)))
    for cell, value in (good | {globals()[name]: value for name, value in told.items()}).items():
        numbers[cell - 1] = value
    return HEAD + numbers.tobytes()


def test_an_end_tells_what_its_steps_took_and_when_the_kernel_had_it():
    (mark,) = parse_marks(cells(), SENT_NS)
    assert (mark.start, mark.epoch, mark.epochs, mark.at_ns) == (False, 3, 9, SENT_NS)
    assert (mark.steps, mark.part_ends_us) == (4, (1_000_000, 3_000_000, 5_000_000, 10_000_000))
    assert mark.step_relative_sd == pytest.approx((2 / 3) ** 0.5 / 2)


def test_a_start_has_no_steps_and_the_next_epoch_starts_as_one_ends():
    (start,) = parse_marks(cells(EVENT=START, EPOCHS=0), SENT_NS)
    assert (start.start, start.epoch, start.epochs, start.steps) == (True, 3, None, 0)
    assert (start.at_ns, start.part_ends_us, start.step_relative_sd) == (SENT_NS, (), None)
    end, following = parse_marks(cells(EVENT=NEXT), SENT_NS)
    assert end == parse_marks(cells(), SENT_NS)[0]
    assert following == parse_marks(cells(EVENT=START, EPOCH=4), SENT_NS)[0]


def test_a_mark_that_no_kernel_stamped_has_no_parts():
    (mark,) = parse_marks(cells())
    assert (mark.at_ns, mark.steps, mark.part_ends_us) == (None, 4, ())
    assert mark.step_relative_sd is not None


@pytest.mark.parametrize(
    "change",
    [
        {"STRIDE": 0}, {"STRIDE": 1.5}, {"STRIDE": NAN}, {"STRIDE": INF}, {"STRIDE": -1},
        {"STEPS": MOST_KEPT + 11}, {"BEGAN_S": NAN}, {"BEGAN_S": -INF}, {"BEGAN_WALL_S": INF},
        {"BEGAN_WALL_S": 1e300}, {"KEPT_S": NAN}, {"LAST_STEP_S": INF},
    ],
)  # fmt: skip
def test_steps_whose_ends_make_no_sense_have_no_parts_and_the_epoch_counts(change):
    (mark,) = parse_marks(cells(**change), SENT_NS)
    assert (mark.epoch, mark.part_ends_us) == (3, ())


@pytest.mark.parametrize(
    "change",
    [
        {"SQUARES_S2": NAN}, {"SQUARES_S2": INF}, {"LAST_STEP_S": 50}, {"LAST_STEP_S": 49},
        {"LAST_STEP_S": NAN}, {"BEGAN_S": -1e308, "LAST_STEP_S": 1e308},
        {"STEPS": 1},
    ],
)  # fmt: skip
def test_a_spread_that_makes_no_sense_is_none(change):
    (mark,) = parse_marks(cells(**change), SENT_NS)
    assert mark.step_relative_sd is None


@pytest.mark.parametrize(
    "change",
    [
        {"EVENT": 0}, {"EVENT": 4}, {"EVENT": NAN}, {"EPOCH": 0}, {"EPOCH": 1.5}, {"EPOCH": NAN},
        {"EPOCH": INF}, {"EPOCH": 1e8}, {"EPOCHS": -1}, {"EPOCHS": 0.5}, {"EPOCHS": NAN},
        {"STEPS": -1}, {"STEPS": 0.5}, {"STEPS": INF}, {"STEPS": 1e16},
    ],
)  # fmt: skip
def test_cells_out_of_bounds_are_refused(change):
    with pytest.raises(ValueError, match=r"mark"):
        parse_marks(cells(**change), SENT_NS)


def test_a_mark_has_all_its_cells_and_no_more():
    assert len(cells()) == MARK_BYTES < MAX_MARK_BYTES
    for data in (cells()[:-1], cells() + b"x", cells()[:8], HEAD):
        with pytest.raises(ValueError, match="length"):
            parse_marks(data, SENT_NS)


numbers = st.one_of(st.floats(), st.integers(-1, 200).map(float), st.integers(0, 10**16).map(float))


@given(
    st.dictionaries(st.integers(1, CELLS - 1), numbers, max_size=12),
    st.one_of(st.none(), st.integers(0, 2**63)),
)
def test_any_cells_are_marks_or_a_value_error(changes, sent_ns):
    data = bytearray(cells())
    view = memoryview(data).cast("d")
    for cell, value in changes.items():
        view[cell] = value
    try:
        marks = parse_marks(bytes(data), sent_ns)
    except ValueError:
        return
    assert len(marks) in (1, 2)
    for mark in marks:
        assert mark.epoch >= 1
        assert mark.steps >= 0
        assert len(mark.part_ends_us) <= min(20, mark.steps)
        assert all(type(one) is int for one in mark.part_ends_us)
        assert mark.step_relative_sd is None or 0 <= mark.step_relative_sd < INF


@given(st.binary(max_size=MARK_BYTES), st.booleans())
def test_any_bytes_after_a_head_are_marks_or_a_value_error(data, fill):
    data = HEAD + (data.ljust(MARK_BYTES - len(HEAD), b"\1") if fill else data)
    try:
        parse_marks(data, SENT_NS)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (5, 9)), ({"part_ends_us": [5, 9.5]}, ()), ({"part_ends_us": [True, 9]}, ()),
        ({"part_ends_us": "59"}, ()), ({"part_ends_us": None}, ()), ({"steps": 1}, ()),
        ({"part_ends_us": list(range(21)), "steps": 30}, ()), ({"part_ends_us": [[5], 9]}, ()),
    ],
)  # fmt: skip
def test_ends_of_parts_are_read_or_left_out(change, expected):
    good = {"v": 1, "event": "end", "epoch": 1, "steps": 2, "part_ends_us": [5, 9]}
    assert read(good | change).part_ends_us == expected


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"event": "pause"}, {"epoch": 0}, {"epoch": "1"}, {"epoch": True}, {"epochs": -1},
     {"epoch": 10**9}, {"steps": -1}, {"steps": 1.5}],
)  # fmt: skip
def test_marks_out_of_bounds_are_refused(change):
    good = {"v": 1, "event": "start", "epoch": 1, "epochs": 5, "steps": 0}
    assert read(good).epoch == 1
    with pytest.raises(ValueError, match=r"mark"):
        read(good | change)


@pytest.mark.parametrize(
    ("mean", "sd", "expected"),
    [(2, 1, 0.5), (0, 1, None), (-1, 1, None), (1, -1, None), ("1", 1, None), (None, None, None),
     (1, float("nan"), None), (1e-320, 1e300, None), (1, 10**400, None), (True, 1, None)],
)  # fmt: skip
def test_step_times_that_make_no_sense_are_left_out(mean, sd, expected):
    told = {"v": 1, "event": "end", "epoch": 1, "step_mean_s": mean, "step_sd_s": sd}
    assert read(told).step_relative_sd == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_a_mark_or_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own and json's messages
        parse_marks(text)


def test_deep_nesting_is_refused():
    with pytest.raises(ValueError, match="deep"):
        parse_marks(b"[" * 100_000)
