"""What is left of a job that goes on after a stop."""

from __future__ import annotations

import pytest

from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.prediction import rest_of

WHOLE = Prediction(
    source=PredictionSource.HISTORY, samples=5, duration_s=7200, duration_low_s=3600,
    duration_high_s=14_400, energy_j=720_000, energy_low_j=360_000, energy_high_j=1_440_000,
    method="history/1", explanation="from 5 earlier jobs",
)  # fmt: skip


def test_the_rest_draws_the_power_of_the_whole_and_lasts_for_the_stop_too():
    rest = rest_of(WHOLE, left_s=1500, cost_s=300)
    assert (rest.duration_s, rest.energy_j) == (1800, 180_000)
    assert (rest.duration_low_s, rest.duration_high_s) == (900, 3600)
    assert (rest.energy_low_j, rest.energy_high_j) == (90_000, 360_000)
    assert rest.explanation == (
        "from 5 earlier jobs; this run goes on after a stop, so what is left of it"
    )


@pytest.mark.parametrize("left_s", [1, 10_000_000])
def test_an_interval_holds_its_middle(left_s):
    rest = rest_of(WHOLE, left_s=left_s, cost_s=0)
    assert 1 <= rest.duration_low_s <= rest.duration_s <= rest.duration_high_s
    assert rest.energy_low_j <= rest.energy_j <= rest.energy_high_j
