from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.prediction.epoch_log import read_log

HEAD = "epoch,duration_s,energy_j\n"
PARTS = "epoch,part,parts,steps,duration_s,energy_j\n"


def test_a_log_by_epochs():
    one, two = read_log((HEAD + "1,2.5,100\n2,2,80\n").splitlines())
    assert (one.number, one.cost.seconds, one.cost.joules, one.parts) == (1, 2.5, 100, ())
    assert two.number == 2


def test_a_log_by_parts_adds_up():
    text = PARTS + "0,1,2,5,1,10\n0,2,2,5,3,20\n1,1,2,5,1,10\n1,2,2,5,2,20\n"
    first, second = read_log(text.splitlines())
    assert (first.number, first.cost.seconds, first.cost.joules) == (1, 4, 30)
    assert [part.seconds for part in second.parts] == [1, 2]


def test_parts_of_unequal_steps_are_not_taken_to_be_alike():
    text = PARTS + "1,1,3,5,1,10\n1,2,3,4,1,10\n1,3,3,4,1,10\n"
    (only,) = read_log(text.splitlines())
    assert (only.cost.seconds, only.parts) == (3, ())
    (left_over,) = read_log(text.replace("1,2,3,4", "1,2,3,5").splitlines())
    assert len(left_over.parts) == 3


def test_what_follows_is_not_looked_at():
    lines = (HEAD + "1,2,100\n2,2,80\nnonsense\n").splitlines()
    assert len(read_log(lines, 2)) == 2
    with pytest.raises(ValueError, match="line 4: 1 fields instead of 3"):
        read_log(lines)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: the file is empty"),
        ("a,b\n", "line 1: the columns are not"),
        (HEAD, "line 2: there is no epoch"),
        (HEAD + "5,1,1\n", "line 2: the first epoch is 5"),
        (HEAD + "1,1,1\n\n3,1,1\n", "line 4: epoch 3 where 2 is due"),
        (HEAD + "1,x,1\n", "line 2: duration_s 'x'"),
        (HEAD + "1,nan,1\n", "line 2: duration_s 'nan'"),
        (HEAD + "1,1,-3\n", "line 2: energy_j '-3'"),
        (HEAD + "1,0,1\n", "line 2: epoch 1 took no time"),
        (HEAD + "1.5,1,1\n", "line 2: epoch '1.5'"),
        (PARTS + "1,2,2,5,1,1\n", "line 2: part 2 of 2 is out of order"),
        (PARTS + "1,1,2,5,1,1\n", "line 2: the last parts of epoch 1 are missing"),
        (PARTS + "1,1,2,5,1,1\n1,2,3,5,1,1\n", "line 3: part 2 of 3 is out of order"),
    ],
)
def test_a_fault_is_named_with_its_line(text, fault):
    with pytest.raises(ValueError, match=fault):
        read_log(text.splitlines())


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_with_a_line(text):
    try:
        assert read_log((HEAD + text).splitlines(keepends=True))
    except ValueError as error:
        assert str(error).startswith("line ")  # noqa: PT017 - there may be no error
