"""Weights and errors learnt from the past only, for every past origin at once.

Axis 0 of all arrays counts origins backwards: row 0 is now, row ``k`` is ``k`` days ago. What is
computed for row ``k`` uses only targets that were known at that origin, so the errors of past rows
are those of real forecasts, not of a fit.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from carbonsched.forecasting.hours import Floats

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

EDGES: tuple[int, ...] = (0, 3, 6, 12, 24, 48, 72, 96)
"""Leads in hours that share their weights: fine near now, whole days later."""


_MERIT_EDGES = (0, 6, 24, 48, 72, 96)
_MERIT_DECAY = 0.5 ** (1 / 30)
_MERIT_POWER = 8.0
_MERIT_PRIOR = 0.1
_MERIT_PRIOR_DAYS = 5.0


def delay_days(lead_h: int, lag_h: int) -> int:
    """How many origins back a target at this lead is known, with actuals ``lag_h`` late."""
    return -(-(lead_h + 1 + lag_h) // 24)


def sums_known(values: Floats, delays: Integers, decay: float) -> Floats:
    """For each origin the sum of what earlier origins have learnt, older ones counting less.

    ``values`` has origins on axis 0 and leads, or groups of leads, on axis 1, where ``delays``
    says how many origins later a value is known. One origin back counts ``decay`` times as much.
    """
    count = len(values)
    shifted = np.zeros_like(values)
    for column, delay in enumerate(delays):
        if delay < count:
            shifted[: count - delay, column] = values[delay:, column]
    total = np.zeros_like(values[0])
    found = np.empty_like(values)
    for row in range(count - 1, -1, -1):
        total = total * decay + shifted[row]
        found[row] = total
    return found


def ridge(
    features: Floats, target: Floats, prior: Floats, strength: Floats, decay: float, lag_h: int
) -> Floats:
    """Predicted targets: least squares drawn towards ``prior``, one fit for each origin and group.

    ``features`` is (origins, leads, features), ``target`` (origins, leads) with NaN for unknown;
    ``prior`` and ``strength`` are (groups, features). The weights minimise
    ``sum(decay^age (target - features w)^2) + strength (w - prior)^2``, where the sum is a mean
    over the leads of a group, so that ``strength`` does not depend on how wide the group is.
    Without any target the weights are the prior.
    """
    usable = np.isfinite(target) & np.isfinite(features).all(axis=2)
    x = np.where(usable[..., None], features, 0.0)
    y = np.where(usable, target, 0.0)
    groups = list(pairwise(EDGES))
    squares = np.stack(
        [x[:, a:b].transpose(0, 2, 1) @ x[:, a:b] / (b - a) for a, b in groups], axis=1
    )
    products = np.stack(
        [(x[:, a:b] * y[:, a:b, None]).sum(axis=1) / (b - a) for a, b in groups], axis=1
    )
    delays = np.array([delay_days(b - 1, lag_h) for _, b in groups])
    matrix = sums_known(squares, delays, decay) + strength[:, :, None] * np.eye(prior.shape[1])
    vector = sums_known(products, delays, decay) + strength * prior
    weights = np.linalg.solve(matrix, vector[..., None])[..., 0]
    wide = np.repeat(weights, np.diff(EDGES), axis=1)
    predicted: Floats = (features * wide).sum(axis=2)
    return predicted


def by_merit(candidates: Floats, target: Floats, lag_h: int) -> Floats:
    """The mean of the candidates (first axis), weighted by how right each was lately.

    Weights go with the eighth power of the inverse of the mean absolute error over the leads of a
    group, half-life a month: of two alike each has half, and one a third worse next to none.
    """
    miss = np.abs(target - candidates)
    known: Flags = np.isfinite(miss.sum(axis=0))
    mixed = np.full_like(target, np.nan)
    for first, last in pairwise(_MERIT_EDGES):
        leads = slice(first, last)
        delays = np.array([delay_days(last - 1, lag_h)])
        summed = np.where(known[:, leads], miss[:, :, leads], 0.0).sum(axis=2)
        sums = sums_known(summed.T[:, None, :], delays, _MERIT_DECAY)[:, 0].T
        counted = known[:, leads].sum(axis=1, keepdims=True).astype(np.float64)
        counts = sums_known(counted, delays, _MERIT_DECAY)[:, 0]
        prior = _MERIT_PRIOR_DAYS * (last - first)
        merit = ((sums + _MERIT_PRIOR * prior) / (counts + prior)) ** -_MERIT_POWER
        weights = merit / merit.sum(axis=0)
        mixed[:, leads] = (weights[:, :, None] * candidates[:, :, leads]).sum(axis=0)
    return mixed


def lead_delays(lag_h: int, leads: int = EDGES[-1]) -> Integers:
    """The delay of each single lead, in days."""
    return np.array([delay_days(lead, lag_h) for lead in range(leads)])


def smoothed(values: Floats, reach: int) -> Floats:
    """Means over ``reach`` leads to either side, weighted down with distance; ends repeat."""
    kernel = np.concatenate((np.arange(1, reach + 2), np.arange(reach, 0, -1))).astype(np.float64)
    kernel /= kernel.sum()
    padded = np.pad(values, ((0, 0), (reach, reach)), mode="edge")
    found: Floats = sum(
        weight * padded[:, shift : shift + values.shape[1]] for shift, weight in enumerate(kernel)
    )
    return found
