"""What a cluster's CPUs will emit and be worth in the time ahead, by length and slot of start."""

from __future__ import annotations

import numpy as np

from carbonsched.model.spread import Spread
from carbonsched.planning.lengths import Floats, Lengths
from carbonsched.planning.prices import paid
from carbonsched.planning.request import Place
from carbonsched.planning.series import Integers
from carbonsched.planning.signal import Signal


class Ahead:
    """A signal over the slots from ``base_at`` on.

    Costs are mean milligrams per CPU and slot of the run, by slot of start: what is emitted, and
    what is paid for a CPU in each slot, which can be added.
    """

    def __init__(self, lengths: Lengths, base_at: int, signal: Signal) -> None:
        self.signal = signal
        self._lengths = lengths
        self.base_at = base_at
        self.slot_s = lengths.slot_s
        edges = base_at + lengths.slot_s * np.arange(lengths.reach + 1, dtype=np.int64)
        edges[0] = signal.start_at  # what is over of the first slot is as what is left of it
        self.rates: Floats = signal.mg_per_watt(edges) * (lengths.slot_s / np.diff(edges))
        self.price: Floats = np.zeros(lengths.horizon)
        self._windows = lengths.windows(self.rates)
        self._paid = np.zeros_like(self._windows)

    def set_price(self, price: Floats) -> None:
        """Let a CPU be worth so much from now on, milligrams by slot."""
        self.price = price
        self._paid = paid(self._lengths, price)

    def cost(self, watts: float, cpus: float) -> Floats:
        """What running in each slot costs a whole job: it emits, and holds its CPUs."""
        cost: Floats = watts * self.rates[: len(self.price)] + cpus * self.price
        return cost

    def carbon(self, places: list[Place]) -> Floats:
        """What a CPU of each emits."""
        watts = np.array([one.watts / max(one.cpus, 1e-9) for one in places])
        cost: Floats = watts[:, None] * (self._per_slot(places) @ self._windows)
        return cost

    def worth(self, places: list[Place]) -> Floats:
        """What a CPU that it holds is worth."""
        prices: Floats = self._per_slot(places) @ self._paid
        return prices

    def at(self, costs: Floats, starts: Integers) -> Floats:
        """Costs by slot as costs at these instants."""
        slots = (starts - self.base_at) / self._lengths.slot_s
        below = np.clip(slots.astype(np.int64), 0, self._lengths.horizon - 2)
        part = np.clip(slots - below, 0.0, 1.0)
        between: Floats = costs[..., below] * (1 - part) + costs[..., below + 1] * part
        return between

    def slots_of(self, length: Spread) -> float:
        """The mean length in slots."""
        return float(self._lengths.row(length) @ self._lengths.slots)

    def _per_slot(self, places: list[Place]) -> Floats:
        return self._lengths.per_slot(np.array([self._lengths.row(one.length) for one in places]))
