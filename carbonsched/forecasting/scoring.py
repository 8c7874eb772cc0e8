"""How good forecasts were: errors by lead day, coverage, and grams lost by trusting them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbonsched.forecasting.hours import Floats

DAY_H = 24
JOB_HOURS = (1, 4, 12, 24)


@dataclass(frozen=True, slots=True)
class Forecasts:
    """One method's forecasts, (issues, leads) in g/kWh; NaN where it had none."""

    mean: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One method on one lead day. ``None`` where there was nothing to score.

    ``n`` counts hours. ``mape_pct`` is the mean of |forecast - actual| / actual over them,
    ``bias_g_per_kwh`` the mean of forecast - actual, ``coverage80_pct`` the share of hours within
    the 80 % interval. ``regret_pct`` holds :func:`regret_pct` for the lengths in ``JOB_HOURS``.
    """

    method: str
    lead_day: int
    n: int
    mape_pct: float | None
    bias_g_per_kwh: float | None
    coverage80_pct: float | None
    regret_pct: tuple[float | None, ...]


def score(method: str, forecasts: Forecasts, truth: Floats) -> list[Score]:
    """A score for each whole lead day; ``truth`` is NaN at the hours that do not count.

    All methods are given the same ``truth``, so that they are compared on the same hours.
    """
    days = truth.shape[1] // DAY_H
    return [_of_day(method, forecasts, truth, day) for day in range(days)]


def _of_day(method: str, forecasts: Forecasts, truth: Floats, day: int) -> Score:
    leads = slice(day * DAY_H, (day + 1) * DAY_H)
    real, mean = truth[:, leads], forecasts.mean[:, leads]
    known = np.isfinite(real) & np.isfinite(mean)
    error = (mean - real)[known]
    coverage = None
    if forecasts.low is not None and forecasts.high is not None:
        inside = (forecasts.low[:, leads] <= real) & (real <= forecasts.high[:, leads])
        coverage = _mean(np.where(inside[known], 100.0, 0.0))
    return Score(
        method=method,
        lead_day=day + 1,
        n=int(known.sum()),
        mape_pct=_mean(100.0 * np.abs(error) / real[known]),
        bias_g_per_kwh=_mean(error),
        coverage80_pct=coverage,
        regret_pct=tuple(
            regret_pct(forecasts.mean, truth, day * DAY_H, hours) for hours in JOB_HOURS
        ),
    )


def regret_pct(forecast: Floats, actual: Floats, first: int, hours: int) -> float | None:
    """Extra grams, in % of the least possible, of a job of so many hours at constant power.

    The job may start at any of the 24 hours from lead ``first`` on, as long as it ends within the
    horizon, the last lead that any issue tells of, and starts where the forecast's mean over its
    run is least (the earliest of equals). The sum over all issues of what it then really emits,
    beyond what the truly best of the same starts would have, is divided by the sum of the latter.
    An issue counts only if both series know all hours of all these runs. Where the horizon leaves
    one start there is no choice and the regret is 0. ``None``: no issue counts.
    """
    told = np.flatnonzero(np.isfinite(actual).any(axis=0))
    horizon = int(told[-1]) + 1 if told.size else 0
    last = min(first + DAY_H - 1, horizon - hours)
    if last < first:
        return None
    runs = slice(first, last + hours)
    whole = np.isfinite(actual[:, runs]).all(axis=1) & np.isfinite(forecast[:, runs]).all(axis=1)
    if not whole.any():
        return None
    expected = _runs(forecast[whole, runs], hours)
    real = _runs(actual[whole, runs], hours)
    chosen = np.take_along_axis(real, expected.argmin(axis=1)[:, None], axis=1)[:, 0]
    best = real.min(axis=1)
    return float(100.0 * (chosen - best).sum() / best.sum())


def _runs(values: Floats, hours: int) -> Floats:
    windows = np.lib.stride_tricks.sliding_window_view(values, hours, axis=1)
    means: Floats = windows.mean(axis=2)
    return means


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None
