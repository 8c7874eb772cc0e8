"""A grid of our own making: a day's shape, weather that comes and goes, and its provider."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbonsched.forecasting import HOUR_S, Hourly, HourlyIssue

DAY_S = 24 * HOUR_S
FIRST_AT = 1_609_459_200
"""1 January 2021, 00:00 UTC."""


@dataclass(frozen=True)
class Grid:
    actual: Hourly
    issues: tuple[HourlyIssue, ...]

    def start_of(self, day: int) -> int:
        return FIRST_AT + day * DAY_S


def grid(
    *, days=120, seed=1, level=300.0, bias=1.0, noise=0.05, horizon=96, first_issue=40, swing=0.3
) -> Grid:
    """``bias`` and ``noise`` are the provider's; noise grows with the lead."""
    chance = np.random.default_rng(seed)
    hours = np.arange((days + 5) * 24)
    weather = np.zeros(len(hours))
    for at in range(1, len(hours)):
        weather[at] = 0.98 * weather[at - 1] + 0.03 * chance.standard_normal()
    log = np.log(level) + swing * np.sin(2 * np.pi * hours / 24) + weather
    values = np.exp(log)
    issues = []
    for day in range(first_issue, days + 1):
        lead = np.arange(horizon)
        miss = noise * np.sqrt(1 + lead / 12) * chance.standard_normal(horizon)
        said = bias * values[day * 24 : day * 24 + horizon] * np.exp(miss)
        at = FIRST_AT + day * DAY_S
        issues.append(HourlyIssue(at, Hourly(at, said)))
    return Grid(Hourly(FIRST_AT, values), tuple(issues))
