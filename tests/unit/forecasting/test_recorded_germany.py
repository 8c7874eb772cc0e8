"""The shipped record: never worse than the best of the simple methods and the provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbonsched.forecasting.evaluation import METHODS, Recorded, evaluate
from carbonsched.intensity import shipped
from carbonsched.intensity.recorded import read_actual, read_issues


@pytest.fixture(scope="module")
def scores():
    actual = read_actual(Path(str(shipped.actual())))["", ""]
    issues = read_issues(Path(str(shipped.forecasts())))["", ""].issues
    recorded = Recorded(actual=actual, issues=issues)
    found = evaluate(recorded, range(20, len(issues)), 1, lambda _: None)
    return {(one.method, one.lead_day): one for one in found}


@pytest.mark.parametrize("day", [1, 2, 3, 4])
def test_never_worse_than_the_best(scores, day):
    best = min(scores[name, day].mape_pct for name in METHODS[:-1])
    assert scores["carbonsched", day].mape_pct <= 1.02 * best
    assert 75 <= scores["carbonsched", day].coverage80_pct <= 85


def test_jobs_placed_by_it_emit_less(scores):
    def regret(name):
        return sum(sum(scores[name, day].regret_pct) for day in range(1, 5))

    assert regret("carbonsched") < 0.85 * regret("provider")
