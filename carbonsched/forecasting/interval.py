"""An 80 % interval from the errors that earlier forecasts turned out to have."""

from __future__ import annotations

import numpy as np

from carbonsched.forecasting.hours import Floats
from carbonsched.forecasting.online import lead_delays, smoothed, sums_known

_TAIL = 0.1
_NORMAL = 1.2816
"""The standard normal distribution's 90 % quantile."""
_SCALE_DECAY = 0.5 ** (1 / 7)
_QUANTILE_DECAY = 0.5 ** (1 / 60)
_SMOOTH_H = 4
_PRIOR_ORIGINS = 3.0
_PRIOR_QUANTILE_DAYS = 7.0
_DAY_H = 24


def interval(errors: Floats, lag_h: int) -> tuple[Floats, Floats]:
    """Bounds to be added to the logarithm of the forecast at row 0, for each lead.

    ``errors`` (origins, leads) is actual minus forecast in logarithms, NaN where not known. First
    each lead gets a scale, the root mean square of its recent errors (half-life of a week): it
    follows calm and stormy weeks. Then the errors of all leads of a day, in units of the scale
    that was known when each was made, give the quantiles (locally weighted conformal prediction;
    Lei et al., JASA 113 (2018) 1094). With few past days both are drawn to a typical width and to
    the normal distribution. The quantiles are taken a little further out, as conformal prediction
    asks for, counting the errors of one day as one: they are nearly the same error.
    """
    delays = lead_delays(lag_h, errors.shape[1])
    known = np.isfinite(errors)
    squares = sums_known(np.where(known, errors, 0.0) ** 2, delays, _SCALE_DECAY)
    counts = sums_known(known.astype(np.float64), delays, _SCALE_DECAY)
    typical = _typical(errors.shape[1])[None]
    mean = (smoothed(squares, _SMOOTH_H) + _PRIOR_ORIGINS * typical**2) / (
        smoothed(counts, _SMOOTH_H) + _PRIOR_ORIGINS
    )
    scale = np.sqrt(mean)
    low, high = np.empty(errors.shape[1]), np.empty(errors.shape[1])
    for first in range(0, errors.shape[1], _DAY_H):
        leads = slice(first, first + _DAY_H)
        lower, upper = _quantiles(errors[:, leads] / scale[:, leads])
        low[leads], high[leads] = lower * scale[0, leads], upper * scale[0, leads]
    return low, high


def _quantiles(shares: Floats) -> tuple[float, float]:
    """Of (origins, leads), older origins counting less; days are counted by what they weigh."""
    known = np.isfinite(shares)
    if not known.any():
        return -_NORMAL, _NORMAL
    age = np.arange(len(shares), dtype=np.float64)[:, None]
    weights = np.broadcast_to(_QUANTILE_DECAY**age, shares.shape)[known]
    days = float(weights.sum() ** 2 / (weights**2).sum()) / _DAY_H
    tail = max(0.0, _TAIL - (1 - _TAIL) / days)
    order = np.argsort(shares[known])
    reached = np.cumsum(weights[order]) - weights[order] / 2
    lower, upper = np.interp([tail, 1 - tail], reached / weights.sum(), shares[known][order])
    trust = days / (days + _PRIOR_QUANTILE_DAYS)
    return (
        min(0.0, float(trust * lower - (1 - trust) * _NORMAL)),
        max(0.0, float(trust * upper + (1 - trust) * _NORMAL)),
    )


def _typical(leads: int) -> Floats:
    """What to expect of a zone of which nothing is known: 6 % at first, 20 % after two days."""
    found: Floats = np.interp(np.arange(leads), [0, 12, 48], [0.06, 0.12, 0.2])
    return found
