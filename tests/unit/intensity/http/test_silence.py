from __future__ import annotations

import pytest

from carbonsched.intensity.http.silence import RateLimitedError, Silence


def test_it_ends_when_it_is_over(clock):
    silence = Silence(clock)
    silence.check("eds")
    silence.keep(60)
    clock.at += 59
    with pytest.raises(RateLimitedError, match=r"^eds: asked to be left alone for 1 s more$"):
        silence.check("eds")
    clock.at += 1
    silence.check("eds")
    assert silence.left_s() == 0


def test_the_longer_wish_stays(clock):
    silence = Silence(clock)
    silence.keep(600)
    silence.keep(5)
    assert silence.left_s() == 600
    silence.keep(900)
    assert silence.left_s() == 900


def test_a_clock_set_back_ends_it(clock):
    silence = Silence(clock)
    silence.keep(60)
    clock.at -= 86_400
    assert silence.left_s() == 0
