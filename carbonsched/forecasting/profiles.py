"""What a zone's own past says: days, weeks, weekdays, and where the level stands now."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from carbonsched.forecasting.hours import Floats
from carbonsched.forecasting.online import Integers

DAY_H = 24
_WEEK_D = 7
_MONTH_D = 28
RECENT_H = 3


@dataclass(frozen=True, slots=True)
class Past:
    """Logarithms of the known hours as days that end where knowledge ends.

    ``days[j]`` are the 24 hours that end ``j`` days before the last known hour's end. ``lag_h`` is
    how far that end lies before the forecast's first hour.
    """

    days: Floats
    lag_h: int

    @property
    def count(self) -> int:
        """How many hours are known."""
        return int(np.isfinite(self.days).sum())

    def targets(self, origins: int, leads: int) -> Floats:
        """What came out: row ``k`` for the origin ``k`` days back, NaN where not known yet."""
        line = self.days[::-1].ravel()
        known = len(line)
        at = known + self.lag_h + np.arange(leads)[None] - DAY_H * np.arange(origins)[:, None]
        inside = (at >= 0) & (at < known)
        return np.where(inside, line[np.clip(at, 0, known - 1)], np.nan)


@dataclass(frozen=True, slots=True)
class Profiles:
    """Forecasts that need no provider, as logarithms, (origins, leads) each.

    ``level`` and ``recent`` (one for each origin) say how far the last day lies from the month's
    profile and the last hours from the week's.
    """

    yesterday: Floats
    week: Floats
    month: Floats
    weekday: Floats
    level: Floats
    recent: Floats


def profiles(past: Past, origins: int, leads: int) -> Profiles:
    """The profiles at each origin; a missing one is replaced by the next longer one.

    An hour of the day that was never seen takes the mean of what was; all is NaN at origins
    before the first known hour.
    """
    ahead = past.lag_h + np.arange(leads)
    column, days_ahead = ahead % DAY_H, ahead // DAY_H
    month = _means(past.days, origins, _MONTH_D)
    month = np.where(np.isfinite(month), month, _mean_of_rows(month)[:, None])
    week = _means(past.days, origins, _WEEK_D)
    week = np.where(np.isfinite(week), week, month)
    last = past.days[:origins]
    yesterday = np.where(np.isfinite(last), last, week)
    weekday = _weekdays(past.days, origins, column, days_ahead)
    late = slice(DAY_H - RECENT_H, DAY_H)
    return Profiles(
        yesterday=yesterday[:, column],
        week=week[:, column],
        month=month[:, column],
        weekday=np.where(np.isfinite(weekday), weekday, month[:, column]),
        level=np.nan_to_num(_mean_of_rows(last - month)),
        recent=np.nan_to_num(_mean_of_rows(last[:, late] - week[:, late])),
    )


def _means(days: Floats, origins: int, length: int) -> Floats:
    """For each origin the mean of each hour over the last ``length`` days, of what is there."""
    known = np.isfinite(days)
    zero = np.zeros((1, days.shape[1]))
    sums = np.concatenate((zero, np.cumsum(np.where(known, days, 0.0), axis=0)))
    counts = np.concatenate((zero, np.cumsum(known, axis=0)))
    first = np.arange(origins)
    last = np.minimum(first + length, len(days))
    total, count = sums[last] - sums[first], counts[last] - counts[first]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _weekdays(days: Floats, origins: int, column: Integers, days_ahead: Integers) -> Floats:
    """The same hour of the same weekday, mean of the last four weeks."""
    weeks_back = days_ahead // _WEEK_D + 1
    first = weeks_back * _WEEK_D - days_ahead - 1
    found = []
    for week in range(_MONTH_D // _WEEK_D):
        row = np.arange(origins)[:, None] + (first + week * _WEEK_D)[None]
        value = days[np.minimum(row, len(days) - 1), column[None]]
        found.append(np.where(row < len(days), value, np.nan))
    return _quiet_mean(np.stack(found), axis=0)


def _mean_of_rows(values: Floats) -> Floats:
    return _quiet_mean(values, axis=1)


def _quiet_mean(values: Floats, axis: int) -> Floats:
    """The mean of what is there; NaN of nothing, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found: Floats = np.nanmean(values, axis=axis)
    return found
