"""The mark in Slurm's comment: exact, total, and never more than what its owner may ask."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carbonsched.model.directives import (
    CAMPAIGN,
    MAX_COMMENT,
    SCRIPT_DIGEST,
    Directives,
    decode_mark,
    encode_mark,
)

at_once = st.sampled_from([{}, {"start_now": True}, {"pilot": True}])
directives = st.builds(
    lambda begun, **others: Directives(**begun, **others),
    at_once,
    max_delay_s=st.none() | st.integers(0, 366 * 86_400),
    deadline_at=st.none() | st.integers(0, 10**12 - 1),
    epochs=st.none() | st.integers(1, 10_000_000),
    validate_every=st.none() | st.integers(1, 10_000_000),
    checkpoint=st.booleans(),
    budget_mg=st.none() | st.integers(1, 10**12 - 1),
    campaign=st.none() | st.from_regex(CAMPAIGN, fullmatch=True),
    lease_s=st.none() | st.integers(1, 366 * 86_400),
    script_digest=st.none() | st.from_regex(SCRIPT_DIGEST, fullmatch=True),
)


@given(directives)
def test_a_mark_says_what_was_asked(asked):
    mark = encode_mark(asked)
    assert decode_mark(mark) == asked
    assert len(mark) <= MAX_COMMENT
    assert mark.isascii()
    assert mark.isprintable()


def test_the_mark_of_an_ordinary_job_can_be_read_by_people():
    assert encode_mark(Directives()) == "carbonsched/1"
    asked = Directives(max_delay_s=21_600, epochs=10, checkpoint=True, campaign="sweep-2")
    assert encode_mark(asked) == "carbonsched/1 delay=21600 epochs=10 checkpoint=1 campaign=sweep-2"
    asked = Directives(checkpoint=True, pilot=True, budget_mg=100_000)
    assert encode_mark(asked) == "carbonsched/1 checkpoint=1 pilot=1 budget=100000"
    asked = Directives(lease_s=60, script_digest="0123456789abcdef")
    assert encode_mark(asked) == "carbonsched/1 lease=60 script=0123456789abcdef"


words = st.sampled_from(
    ["carbonsched/1", "delay=60", "delay=", "=", "epochs=3", "now=1", "now=0", "campaign=x",
     "deadline=1", "checkpoint=1", "pilot=1", "budget=5",
     "'; rm -rf / #", "\x1b[2J", "\n", "\0", "é", "\ud800",
     "3\u0663", ""]
)  # fmt: skip


comments = st.text() | st.lists(words, max_size=6).map(" ".join)


@given(comments | st.text().map("carbonsched/1 ".__add__))
@example("carbonsched/1 delay=٣")
@example("carbonsched/1 delay=60\n")
@example("carbonsched/1" + " delay=1" * 500)
def test_any_comment_is_our_mark_or_left_alone(comment):
    asked = decode_mark(comment)
    if asked is not None:
        assert comment.startswith("carbonsched/1")
        assert comment.isprintable()
        assert decode_mark(encode_mark(asked)) == asked


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "carbonsched/2 delay=60",
        "carbonsched/1delay=60",
        "carbonsched/1  delay=60",
        "carbonsched/1 ",
        " carbonsched/1",
        "carbonsched/1\tdelay=60",
        "carbonsched/1 delay",
        "carbonsched/1 delay=60 delay=60",
        "carbonsched/1 delay=-60",
        "carbonsched/1 delay=6e3",
        "carbonsched/1 delay=99999999999999",
        "carbonsched/1 delay=31622401",
        "carbonsched/1 epochs=0",
        "carbonsched/1 epochs=10000001",
        "carbonsched/1 now=2",
        "carbonsched/1 now=",
        "carbonsched/1 checkpoint=yes",
        "carbonsched/1 pilot=0",
        "carbonsched/1 pilot=1 now=1",
        "carbonsched/1 budget=0",
        "carbonsched/1 budget=100g",
        "carbonsched/1 campaign=",
        "carbonsched/1 campaign=.hidden",
        "carbonsched/1 campaign=a/b",
        "carbonsched/1 campaign=" + "a" * 65,
        "carbonsched/1 script=",
        "carbonsched/1 script=0123456789ABCDEF",
        "carbonsched/1 script=0123456789abcde",
        "carbonsched/1 priority=1",
        "carbonsched/1 delay=60; scontrol shutdown",
        "carbonsched/1 delay=60" + " " * MAX_COMMENT,
    ],
)
def test_what_is_nearly_a_mark_is_somebody_elses_comment(comment):
    assert decode_mark(comment) is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"max_delay_s": -1}, "0 and 366 days"),
        ({"max_delay_s": 366 * 86_400 + 1}, "0 and 366 days"),
        ({"max_delay_s": 0.5}, "max_delay_s is not a whole number"),
        ({"max_delay_s": True}, "max_delay_s is not a whole number"),
        ({"max_delay_s": "60"}, "max_delay_s is not a whole number"),
        ({"deadline_at": float("nan")}, "deadline_at is not a whole number"),
        ({"deadline_at": -1}, "before 1970"),
        ({"deadline_at": 10**12}, "ahead"),
        ({"epochs": 0}, "epochs must be"),
        ({"epochs": [3]}, "epochs is not a whole number"),
        ({"checkpoint": 1}, "checkpoint is neither"),
        ({"start_now": None}, "start_now is neither"),
        ({"pilot": 1}, "pilot is neither"),
        ({"pilot": True, "start_now": True}, "a pilot may wait after its first epoch"),
        ({"budget_mg": 0}, "a budget is between"),
        ({"budget_mg": 10**12}, "a budget is between"),
        ({"budget_mg": 0.5}, "budget_mg is not a whole number"),
        ({"campaign": 5}, "campaign is not a string"),
        ({"campaign": "a\n"}, "a campaign is"),
        ({"campaign": ""}, "a campaign is"),
        ({"script_digest": 5}, "script_digest is not a string"),
        ({"script_digest": "train.sh"}, "16 hexadecimal digits"),
        ({"script_digest": "0123456789abcdef\n"}, "16 hexadecimal digits"),
    ],
)
def test_directives_that_cannot_be_say_why(fields, why):
    with pytest.raises(ValueError, match=why):
        Directives(**fields)
