"""Run times that nobody knows yet, as weights over a fixed set of lengths.

A job's unknown run time is a row of weights over the same logarithmic lengths for every job. So
what all jobs would pay in a window, or how many nodes they would hold, are matrix products.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from carbonsched.model.spread import Spread

Floats = npt.NDArray[np.float64]

_BELOW_A_SLOT = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75)
_FROM_A_SLOT = 25
_ROWS = 50_000


class Lengths:
    """Lengths in slots of ``slot_s`` seconds, for starts in ``[0, horizon)``.

    The longest is twice the horizon: what runs longer holds its nodes for all that is looked at.
    """

    def __init__(self, slot_s: int, horizon: int) -> None:
        self.slot_s = slot_s
        self.horizon = horizon
        longest = 2 * horizon
        self.slots: Floats = np.concatenate((_BELOW_A_SLOT, np.geomspace(1, longest, _FROM_A_SLOT)))
        self.reach = horizon + longest
        """Rates are wanted for so many slots."""
        self._whole = np.minimum(self.slots.astype(np.int64), longest - 1)
        self._part: Floats = self.slots - self._whole
        # Most jobs of one plan were there in the one before.
        self.row = lru_cache(maxsize=_ROWS)(self._row)

    def _row(self, spread: Spread) -> Floats:
        """The row of a run time."""
        return self.weights(np.array(spread.seconds), np.array(spread.weights))

    def weights(self, run_times_s: Floats, weights: Floats) -> Floats:
        """The row of one job, which sums to 1: each run time is split between its neighbours.

        Within the grid the mean run time is kept.
        """
        slots = np.clip(run_times_s / self.slot_s, self.slots[0], self.slots[-1])
        below = np.clip(np.searchsorted(self.slots, slots, "right") - 1, 0, len(self.slots) - 2)
        above = (slots - self.slots[below]) / (self.slots[below + 1] - self.slots[below])
        row = np.zeros(len(self.slots))
        np.add.at(row, below, weights * (1 - above))
        np.add.at(row, below + 1, weights * above)
        whole: Floats = row / row.sum()
        return whole

    def per_slot(self, rows: Floats) -> Floats:
        """Rows (or one) by which integrals over runs become means over all their slots."""
        shares: Floats = rows / (rows @ self.slots)[..., None]
        return shares

    def windows(self, rates: Floats) -> Floats:
        """Integral of a rate by slot, known for ``reach`` slots, over ``[start, start + length)``.

        A row for each length, a column for each start.
        """
        sums = np.concatenate(([0.0], np.cumsum(rates)))
        ends = np.arange(self.horizon) + self._whole[:, None]
        part = self._part[:, None]
        result: Floats = sums[ends] * (1 - part) + sums[ends + 1] * part - sums[: self.horizon]
        return result

    def held(self, starts: Floats) -> Floats:
        """How much is held in each slot, on average, if so much starts by length and slot."""
        change = np.zeros(self.reach + 2)
        change[: self.horizon] += starts.sum(axis=0)
        for row, whole, part in zip(starts, self._whole, self._part, strict=True):
            change[whole : whole + self.horizon] -= row * (1 - part)
            change[whole + 1 : whole + 1 + self.horizon] -= row * part
        held: Floats = np.cumsum(change)[: self.horizon]
        return held

    def remaining(self, row: Floats) -> Floats:
        """The share of one that began at slot 0 and is still there, by slot."""
        gone = np.clip(self.slots[:, None] - np.arange(self.horizon), 0, 1)
        there: Floats = row @ gone
        return there


@lru_cache(maxsize=4)
def lengths_of(slot_s: int, horizon: int) -> Lengths:
    """The one for these; it remembers rows."""
    return Lengths(slot_s, horizon)
