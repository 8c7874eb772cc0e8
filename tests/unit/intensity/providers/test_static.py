from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.intensity.providers.static import PERIOD_S, StaticProvider
from carbonsched.model.intensity import SeriesInfo

INFO = SeriesInfo(provider="static", zone="FR", static=True, note="static value of 2023")


class At:
    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at


@given(st.integers(0, 10**5), st.integers(1, 10**5), st.integers(0, 2 * 10**5))
def test_the_constant_covers_what_is_past_and_nothing_else(start, length, now):
    told = StaticProvider(info=INFO, mg_per_kwh=56_000, clock=At(now)).actual(start, start + length)
    over_at = min(start + length, now - now % PERIOD_S)
    if over_at > start:
        assert told.steps.mean(start, over_at) == 56_000
    assert all(point.end_at <= now for point in told.points)
    assert all(point.start_at < start + length for point in told.points)
    assert all(point.end_at > start for point in told.points)


def test_two_overlapping_questions_give_the_same_periods():
    provider = StaticProvider(info=INFO, mg_per_kwh=56_000, clock=At(100_000))
    first = set(provider.actual(1000, 5000).points)
    second = set(provider.actual(1100, 5555).points)
    assert first - second == set()


def test_it_has_no_forecast():
    assert StaticProvider(info=INFO, mg_per_kwh=56_000, clock=At(9)).forecast(9) is None


@pytest.mark.parametrize(
    ("info", "mg"), [(INFO, 0), (SeriesInfo(provider="static", zone="FR"), 56_000)]
)
def test_a_zero_or_an_unflagged_constant_cannot_be_made(info, mg):
    with pytest.raises(ValueError, match="its info says static"):
        StaticProvider(info=info, mg_per_kwh=mg, clock=At(9))
