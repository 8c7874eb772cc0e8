"""Our own forecast of a zone: its past, its provider's forecasts, and weights learnt from both."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from carbonsched.forecasting import words
from carbonsched.forecasting.hours import HOUR_S, Floats, Hourly, HourlyForecast, HourlyIssue
from carbonsched.forecasting.interval import interval
from carbonsched.forecasting.online import EDGES, by_merit, lead_delays, ridge, smoothed, sums_known
from carbonsched.forecasting.profiles import DAY_H, Past, Profiles, profiles

LEADS = EDGES[-1]
_GROUPS = len(EDGES) - 1
ENOUGH_H = 7 * 24
"""Hours of actual values without which the provider's forecast had better be left as it is."""
FLOOR = 0.1
"""g/kWh; keeps the logarithm of a grid with next to nothing in it finite."""
_WILD = 1.5
"""Errors beyond a factor of exp(1.5) teach no more than that: they are faults, not weather."""
_ORIGINS = 90
_PROFILE_DAYS = 28
_STALE_DAYS = 14
_ISSUE_AGE_S = 24 * HOUR_S

# Weights before anything is learnt, by group of leads: yesterday, week, weekday beside the month's
# profile, then the last day's and the last hours' deviation from it.
_PAST_PRIOR = np.array(
    [
        [0.2, 0.4, 0.05, 0.1, 0.6],
        [0.2, 0.4, 0.05, 0.15, 0.45],
        [0.2, 0.4, 0.05, 0.15, 0.3],
        [0.2, 0.4, 0.1, 0.2, 0.15],
        [0.1, 0.4, 0.15, 0.15, 0.05],
        [0.05, 0.4, 0.15, 0.1, 0.0],
        [0.0, 0.4, 0.15, 0.05, 0.0],
    ]
)
_PAST_STRENGTH = np.full((_GROUPS, 5), 0.5)
_PAST_DECAY = 0.5 ** (1 / 60)

# The same for the provider: its corrected forecast beside the past's, and its latest errors.
_BLEND_PRIOR = np.array(
    [[0.85, 0.4], [0.85, 0.3], [0.85, 0.2], [0.8, 0.2], [0.65, 0.0], [0.55, 0.0], [0.5, 0.0]]
)
_BLEND_STRENGTH = np.array([[0.2, 0.1]] * 4 + [[0.2, 1.0]] * 3)
_BLEND_DECAY = 0.5 ** (1 / 60)

_BIAS_DECAY = 0.5 ** (1 / 20)
_BIAS_PRIOR_DAYS = 7.0
_BIAS_REACH_H = 1
_FADE = 0.5 ** (1 / 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """Forecasts 96 hours of one zone and basis; holds no state, so the past is given each time.

    ``lag_h``: an actual value counts as known only so many hours after its hour is over, whatever
    the arrays hold.
    """

    lag_h: int = 1

    def __post_init__(self) -> None:
        if self.lag_h < 0:
            raise ValueError("actual values are not known before their hour is over")

    def forecast(
        self, now: int, actual: Hourly, issues: Sequence[HourlyIssue]
    ) -> HourlyForecast | None:
        """The forecast at ``now``, from actual values and issues (in order of issue) known then.

        About four months of both are used, less does. Values not above zero are missing. What lies
        after ``now`` is not looked at: changing it changes nothing. ``None``: no actual value of
        the last two weeks and no provider's forecast that reaches beyond now.
        """
        start_at = now // HOUR_S * HOUR_S
        past = _past(start_at, actual, self.lag_h)
        provider = _provider(now, start_at, issues)
        if past is None:
            return _provider_alone(now, start_at, provider[0], issues)
        origins = _ORIGINS
        target = past.targets(origins, LEADS)
        own = _from_past(profiles(past, origins, LEADS), target, past.lag_h)
        middle = _combined(own, provider, target, past.lag_h)
        low, high = interval(np.clip(target - middle, -_WILD, _WILD), past.lag_h)
        centre = _bounded(middle[0], past, provider[0])
        return HourlyForecast(
            issued_at=now,
            start_at=start_at,
            mean=np.exp(centre),
            low=np.exp(centre + low),
            high=np.exp(centre + high),
            inputs=words.inputs(past, self.lag_h, provider, words.age_h(now, issues)),
        )


def floored(hours: Hourly) -> Hourly:
    """Where a zero is known to be none of a fault: the forecaster takes zeros for faults."""
    return Hourly(hours.start_at, np.maximum(hours.values, FLOOR))  # what is missing stays so


def floored_issue(issue: HourlyIssue) -> HourlyIssue:
    """The same of a provider's forecast."""
    return HourlyIssue(issue.issued_at, floored(issue.hours))


def _logs(values: Floats) -> Floats:
    """Logarithms; what is not above zero is a fault of the source and missing."""
    sound = np.isfinite(values) & (values > 0)
    return np.log(np.maximum(np.where(sound, values, 1.0), FLOOR), where=sound, out=_nans(values))


def _nans(like: Floats) -> Floats:
    return np.full(like.shape, np.nan)


def _past(start_at: int, actual: Hourly, lag_h: int) -> Past | None:
    """What is known, in days that end at the last known hour, or ``None`` where that is too old."""
    known_until = start_at - lag_h * HOUR_S
    oldest = known_until - _STALE_DAYS * DAY_H * HOUR_S
    latest = np.flatnonzero(np.isfinite(_logs(actual.between(oldest, known_until))))
    if not latest.size:
        return None
    known_until = oldest + (int(latest[-1]) + 1) * HOUR_S
    days = _ORIGINS + _PROFILE_DAYS
    values = actual.between(known_until - days * DAY_H * HOUR_S, known_until)
    lines = _logs(values).reshape(days, DAY_H)[::-1]
    return Past(lines, (start_at - known_until) // HOUR_S)


def _provider(now: int, start_at: int, issues: Sequence[HourlyIssue]) -> Floats:
    """Logarithms of what the provider expected at each origin: (origins, leads), NaN for nothing.

    The latest issue counts; older ones, at most a day, fill what lies before its first hour (as
    of a forecast for tomorrow) and beyond its last.
    """
    found = np.full((_ORIGINS, LEADS), np.nan)
    times = [one.issued_at for one in issues]
    for row in range(_ORIGINS):
        back = row * DAY_H * HOUR_S
        upto = bisect_right(times, now - back)
        since = bisect_right(times, now - back - _ISSUE_AGE_S - 1)
        found[row] = _latest(issues, range(upto - 1, since - 1, -1), start_at - back)
    return _logs(found)


def _latest(issues: Sequence[HourlyIssue], order: Iterable[int], first_at: int) -> Floats:
    """The hours from ``first_at`` on, each from the first issue in ``order`` that reaches it."""
    found = np.full(LEADS, np.nan)
    until = first_at + LEADS * HOUR_S
    low, high = until, first_at
    for index in order:
        hours = issues[index].hours
        begins = max(hours.start_at, first_at)
        ends = min(hours.start_at + len(hours.values) * HOUR_S, until)
        if begins >= ends or (low <= begins and ends <= high):
            continue
        pieces = ((begins, ends),) if low >= high else ((begins, low), (high, ends))
        for start, end in pieces:
            if end > start:
                found[(start - first_at) // HOUR_S : (end - first_at) // HOUR_S] = hours.between(
                    start, end
                )
        low, high = min(low, begins), max(high, ends)
    return found


def _from_past(seen: Profiles, target: Floats, lag_h: int) -> Floats:
    """The forecast without a provider: profiles with weights learnt for each group of leads."""
    wide = np.ones_like(target)
    features = np.stack(
        [
            seen.yesterday - seen.month,
            seen.week - seen.month,
            seen.weekday - seen.month,
            seen.level[:, None] * wide,
            seen.recent[:, None] * wide,
        ],
        axis=2,
    )
    aim = np.clip(target - seen.month, -_WILD, _WILD)
    return seen.month + ridge(features, aim, _PAST_PRIOR, _PAST_STRENGTH, _PAST_DECAY, lag_h)


def _combined(own: Floats, provider: Floats, target: Floats, lag_h: int) -> Floats:
    """The zone's own past and its provider, each as far as it has been right.

    Three ways to use the provider, that fail in different weeks, are averaged: blended with the
    past by learnt weights, merely corrected for its bias, and as it is: where it is right already,
    what is learnt of it is noise.
    """
    errors = np.clip(target - provider, -_WILD, _WILD)
    bias = _bias(errors, lag_h)
    corrected = provider + bias
    latest = _latest_errors(errors - bias, lag_h)
    features = np.stack([corrected - own, latest[:, None] * np.ones_like(own)], axis=2)
    aim = np.clip(target - own, -_WILD, _WILD)
    shift = ridge(features, aim, _BLEND_PRIOR, _BLEND_STRENGTH, _BLEND_DECAY, lag_h)
    mixed = by_merit(np.stack([own + shift, corrected, provider]), target, lag_h)
    # At the oldest origins nothing of the past is known yet; then the provider stands alone.
    return np.where(np.isfinite(own), own + _faded(mixed - own), corrected)


def _bias(errors: Floats, lag_h: int) -> Floats:
    """How far the provider was off at each lead, drawn to nothing while that is little known."""
    known = np.isfinite(errors)
    delays = lead_delays(lag_h, errors.shape[1])
    sums = sums_known(np.where(known, errors, 0.0), delays, _BIAS_DECAY)
    counts = sums_known(known.astype(np.float64), delays, _BIAS_DECAY)
    return smoothed(sums / (counts + _BIAS_PRIOR_DAYS), _BIAS_REACH_H)


def _latest_errors(errors: Floats, lag_h: int) -> Floats:
    """The mean error of the day before each origin, as far as it was known; 0 where not at all."""
    found = np.zeros(len(errors))
    known_h = DAY_H - lag_h
    if known_h > 0:
        last_day = errors[1:, :known_h]
        counts = np.isfinite(last_day).sum(axis=1)
        found[:-1] = np.nansum(last_day, axis=1) / np.maximum(counts, 1)
    return found


def _faded(shift: Floats) -> Floats:
    """Where the provider says nothing, its last word loses half its weight every six hours."""
    leads = np.arange(shift.shape[1])
    last = np.maximum.accumulate(np.where(np.isfinite(shift), leads[None], -1), axis=1)
    kept = np.take_along_axis(np.nan_to_num(shift), np.maximum(last, 0), axis=1)
    found: Floats = np.where(last >= 0, kept * _FADE ** (leads[None] - last), 0.0)
    return found


def _bounded(centre: Floats, past: Past, provider: Floats) -> Floats:
    """Within half the least and twice the most ever seen: weights must not run away."""
    seen = np.concatenate((past.days.ravel(), provider))
    low, high = np.nanmin(seen) - np.log(2), np.nanmax(seen) + np.log(2)
    bounded: Floats = np.clip(centre, low, high)
    return bounded


def _provider_alone(
    now: int, start_at: int, provider: Floats, issues: Sequence[HourlyIssue]
) -> HourlyForecast | None:
    """The provider's forecast as it is, first hour to first gap, with a typical interval."""
    known = np.flatnonzero(np.isfinite(provider))
    if not known.size:
        return None
    first = int(known[0])
    gaps = np.flatnonzero(~np.isfinite(provider[first:]))
    end = first + int(gaps[0]) if gaps.size else LEADS
    low, high = interval(np.full((1, LEADS), np.nan), 0)
    centre = provider[first:end]
    return HourlyForecast(
        issued_at=now,
        start_at=start_at + first * HOUR_S,
        mean=np.exp(centre),
        low=np.exp(centre + low[first:end]),
        high=np.exp(centre + high[first:end]),
        inputs=words.provider_alone(end - first, words.age_h(now, issues)),
    )
