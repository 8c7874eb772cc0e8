"""Recorded forecasts of a provider, judged beside simple methods and ours; strictly causal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from carbonsched.forecasting.forecaster import LEADS, Forecaster
from carbonsched.forecasting.hours import HOUR_S, Floats, Hourly, HourlyIssue
from carbonsched.forecasting.scoring import DAY_H, Forecasts, Score, score

PROVIDER = "provider"
PERSISTENCE = "persistence"
WEEK_MEAN = "week-mean"
OURS = "carbonsched"
METHODS = (PROVIDER, PERSISTENCE, WEEK_MEAN, OURS)
_WEEK_D = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What happened in a zone, and what its provider had expected, in order of issue."""

    actual: Hourly
    issues: tuple[HourlyIssue, ...]


def evaluate(
    recorded: Recorded, scored: Sequence[int], lag_h: int, advance: Callable[[int], None]
) -> list[Score]:
    """Every method's scores over the issues whose index is in ``scored``.

    At each issue all methods know the same: actual values that were over ``lag_h`` hours before,
    and for ours the issues up to this one. The others warm up. The hours that count are those of
    which all methods and what happened tell a value above zero. ``advance`` is called after each
    issue.
    """
    shape = (len(scored), LEADS)
    made = {name: Forecasts(np.full(shape, np.nan)) for name in METHODS[:-1]}
    ours = Forecasts(np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan))
    made[OURS] = ours
    actual = np.full(shape, np.nan)
    forecaster = Forecaster(lag_h=lag_h)
    for row, index in enumerate(scored):
        now = recorded.issues[index].issued_at
        start_at = now // HOUR_S * HOUR_S
        actual[row] = recorded.actual.between(start_at, start_at + LEADS * HOUR_S)
        made[PROVIDER].mean[row] = recorded.issues[index].hours.between(
            start_at, start_at + LEADS * HOUR_S
        )
        days = last_days(recorded.actual, start_at, lag_h)
        made[PERSISTENCE].mean[row] = _ahead(days[0], lag_h)
        made[WEEK_MEAN].mean[row] = _ahead(_means(days), lag_h)
        _fill(ours, row, forecaster, now, recorded, index)
        advance(1)
    told = np.stack([actual, *(one.mean for one in made.values())])
    counts = (told > 0).all(axis=0)
    truth = np.where(counts, actual, np.nan)
    return [one for name in METHODS for one in score(name, made[name], truth)]


def _fill(
    ours: Forecasts, row: int, forecaster: Forecaster, now: int, recorded: Recorded, index: int
) -> None:
    found = forecaster.forecast(now, recorded.actual, recorded.issues[: index + 1])
    if found is None or ours.low is None or ours.high is None:
        return
    first = found.start_at // HOUR_S - now // HOUR_S
    leads = slice(first, first + len(found.mean))
    ours.mean[row, leads] = found.mean
    ours.low[row, leads] = found.low
    ours.high[row, leads] = found.high


def last_days(actual: Hourly, start_at: int, lag_h: int) -> Floats:
    """The last seven known days, latest first: 24 hours each, the last ends where knowledge does.

    A missing hour of the latest day is taken from the day before it that has it.
    """
    end_at = start_at - lag_h * HOUR_S
    values = actual.between(end_at - _WEEK_D * DAY_H * HOUR_S, end_at)
    days = np.where(values > 0, values, np.nan).reshape(_WEEK_D, DAY_H)[::-1].copy()
    for older in days[1:]:
        days[0] = np.where(np.isfinite(days[0]), days[0], older)
    return days


def _means(days: Floats) -> Floats:
    counts = np.isfinite(days).sum(axis=0)
    return np.where(counts > 0, np.nansum(days, axis=0) / np.maximum(counts, 1), np.nan)


def _ahead(day: Floats, lag_h: int) -> Floats:
    """The same hour of the day for each lead."""
    found: Floats = day[(lag_h + np.arange(LEADS)) % DAY_H]
    return found
