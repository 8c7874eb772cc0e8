"""What one cluster's nodes will emit and be worth, slot by slot, as the price planner sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carbonsched.model.intensity import Forecast
from carbonsched.planning.lengths import Floats, Lengths
from carbonsched.planning.prices import Demand, clearing_prices, paid
from carbonsched.planning.series import Cumulative

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One job, or expected ones, that may start in slots ``first`` to ``last``."""

    nodes: float
    power_w: float
    row: Floats
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Integrals by length and start of intensity and of prices (``paid``), from ``made_at`` on.

    Costs are in grams per kilowatt-hour times watts, the mean over a run's node-seconds.
    """

    lengths: Lengths
    made_at: int
    intensity: Floats
    price: Floats
    paid: Floats

    def carbon(self, row: Floats, power_w: float) -> Floats:
        """What a node of a job emits, by slot of start."""
        return _carbon(self.lengths, self.intensity, row, power_w)

    def worth(self, row: Floats) -> Floats:
        """What a node that it holds is worth, by slot of start."""
        prices: Floats = self.lengths.per_slot(row) @ self.paid
        return prices

    def shifted(self, now: int) -> Floats:
        """The prices as of later, to begin with then."""
        slots = np.arange(self.lengths.horizon)
        later = slots + (now - self.made_at) / self.lengths.slot_s
        prices: Floats = np.interp(later, slots, self.price)
        return prices


def look_ahead(
    lengths: Lengths,
    now: int,
    forecast: Forecast,
    free: Floats,
    asks: Sequence[Ask],
    before: Floats | None,
) -> Outlook | None:
    """Prices at which what is asked for fits into the ``free`` nodes; ``None`` without a forecast.

    ``free`` is by slot. Beyond its horizon a forecast repeats its last day.
    """
    ahead = Cumulative(forecast, now)
    if ahead.end_at - now < lengths.slot_s:
        return None
    intensity = lengths.windows(_rates(lengths, now, ahead))
    slots = np.arange(lengths.horizon)
    cost = np.array(
        [
            np.where(
                (slots >= one.first) & (slots <= one.last),
                _carbon(lengths, intensity, one.row, one.power_w),
                np.inf,
            )
            for one in asks
        ]
    ).reshape(len(asks), lengths.horizon)
    demand = Demand(
        nodes=np.array([one.nodes for one in asks]),
        lengths=np.array([one.row for one in asks]).reshape(len(asks), len(lengths.slots)),
        cost=cost,
    )
    price = clearing_prices(lengths, demand, free, before)
    return Outlook(
        lengths=lengths,
        made_at=now,
        intensity=intensity,
        price=price,
        paid=paid(lengths, price),
    )


def _carbon(lengths: Lengths, intensity: Floats, row: Floats, power_w: float) -> Floats:
    cost: Floats = power_w * (lengths.per_slot(row) @ intensity)
    return cost


def _rates(lengths: Lengths, now: int, ahead: Cumulative) -> Floats:
    """Mean g/kWh of each slot."""
    slot_s = lengths.slot_s
    starts = now + slot_s * np.arange(lengths.reach, dtype=np.int64)
    last = ahead.end_at - slot_s
    over = starts > last
    period_s = min(DAY_S, max(slot_s, (last - now) // slot_s * slot_s))
    back = -(-(starts[over] - last) // period_s) * period_s
    starts[over] = np.maximum(now, starts[over] - back)
    rates: Floats = ahead.windows(starts, slot_s) / (1000.0 * slot_s)
    return rates
