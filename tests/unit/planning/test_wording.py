from __future__ import annotations

import pytest

from carbonsched.planning.wording import sentence, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (80, "1 min 20 s"),
        (600, "10 min"),
        (22_200, "6 h 10 min"),
        (21_630, "6 h"),
        (183_600, "2 d 3 h"),
    ],
)
def test_spans_name_their_two_largest_units(seconds, words):
    assert span(seconds) == words


def test_a_rise_is_called_one_and_nothing_is_divided_by_zero():
    more = sentence(wait_s=60, floor_s=0, why="", expected_mg=300, baseline_mg=200)
    assert more == "starts in 1 min: 300 mg instead of 200 mg if started now (50 % more)"
    none = sentence(wait_s=60, floor_s=0, why="held", expected_mg=0, baseline_mg=0)
    assert none == "starts in 1 min: 0 mg instead of 0 mg if started now; held"


def test_a_job_whose_queue_is_long_is_compared_with_its_turn():
    words = sentence(wait_s=7200, floor_s=0, why="", expected_mg=300, baseline_mg=400, queue_s=3600)
    assert words == (
        "starts in 2 h: 300 mg instead of 400 mg"
        " if started in 1 h, when its queue would have room (25 % less)"
    )


def test_nothing_is_said_of_what_is_not_known():
    assert sentence(wait_s=0, floor_s=0, why="", expected_mg=None, baseline_mg=None) == "starts now"
