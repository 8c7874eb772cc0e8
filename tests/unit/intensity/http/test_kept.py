from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbonsched.intensity.http.kept import Answer, Kept, validators


def answer(size=1, at=0.0):
    return Answer(status=200, body=b"x" * size, came_at=at)


def test_the_one_not_used_for_longest_goes_first():
    kept = Kept(most=2)
    kept.put("a", answer())
    kept.put("b", answer())
    assert kept.get("a")
    kept.put("c", answer())
    assert kept.get("b") is None
    assert kept.get("a")
    assert kept.get("c")


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 120)), max_size=40))
def test_it_never_holds_more_than_it_may(puts):
    kept = Kept(most=3, most_bytes=100)
    for key, size in puts:
        kept.put(key, answer(size))
        held = [one for one in map(kept.get, "abcdef") if one is not None]
        assert len(held) <= 3
        assert sum(len(one.body) for one in held) <= 100
        assert (kept.get(key) is not None) == (size <= 100)


def test_fresh_is_by_the_clock_and_not_when_it_was_set_back():
    kept = Kept()
    kept.put("a", answer(at=1000))
    asked = {at: kept.fresh("a", at, 60) is not None for at in (999, 1000, 1059, 1060)}
    assert asked == {999: False, 1000: True, 1059: True, 1060: False}
    assert kept.fresh("a", 1000, 0) is None


def test_strange_validators_are_not_sent_back():
    assert validators({"ETag": 'W/"a"', "Last-Modified": "x" * 300}) == ('W/"a"', None)
    assert validators({"ETag": "\x7f\xe9"}) == (None, None)
