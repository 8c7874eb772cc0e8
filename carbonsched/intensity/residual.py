"""An intensity forecast from forecasts of load, wind and solar: what the rest will be burnt for.

No service forecasts generation by fuel. The method, for each time ahead:

1. Residual load = load - wind - solar, by the day-ahead forecasts.
2. Of the recent past, take those ``NEIGHBOUR_S`` of time whose residual load, made from actual
   values in the same way, was nearest. What generated then beside wind and solar, and its
   emissions, is expected again.
3. Where total generation is forecast too, the amount is that less wind and solar, with the
   emissions per MWh of step 2. Else the amount, too, is that of step 2: imports and exports are
   taken to follow the residual load as they did.
4. Intensity = (emissions of 3 + wind and solar x factors) / (amount of 3 + wind + solar).

It never extrapolates: beyond the residual loads of the recent past it stays at the nearest. It
knows nothing of outages, of prices abroad, or of reservoirs. All of it is exact arithmetic.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from carbonsched.intensity.factors import FactorSet, Output, output
from carbonsched.intensity.mix import MAX_MISSING, Slot, Whole
from carbonsched.model.intensity import Point

NEIGHBOUR_S = 12 * 3600
LEARN_S = 7 * 86_400
LEAST_S = 48 * 3600
"""With less usable past than this there is no forecast."""

LOAD = "load"
TOTAL = "total"
VARIABLE = frozenset({"solar", "wind_offshore", "wind_onshore"})
_NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Known:
    """A time of the past: its residual load, and what generated beside wind and solar."""

    length_s: int
    residual: Fraction
    rest: Output


class Relation:
    """What generated at which residual load, by the recent past."""

    def __init__(
        self, past: Sequence[Known], variable: Collection[str], factors: FactorSet
    ) -> None:
        self._past = sorted(past, key=lambda one: one.residual)
        self._residuals = [one.residual for one in self._past]
        self._variable = variable
        self._factors = factors

    @classmethod
    def learnt(
        cls, wholes: Sequence[Whole], variable: Collection[str], factors: FactorSet
    ) -> Relation:
        """From whole mixes that have the ``load`` beside them.

        Raises:
            ValueError: too little of it, or wind or solar that counts is not in ``variable``.
        """
        usable = [one for one in wholes if one.beside.get(LOAD, _NOTHING) > 0]
        if sum(one.end_at - one.start_at for one in usable) < LEAST_S:
            raise ValueError(f"less than {LEAST_S // 3600} hours of generation and load are known")
        for fuel in sorted(VARIABLE - set(variable)):
            had = sum((_positive(one.generation, fuel) for one in usable), _NOTHING)
            if had > MAX_MISSING * sum((one.output.amount for one in usable), _NOTHING):
                raise ValueError(f"{fuel.replace('_', ' ')} has no forecast and counts here")
        past = []
        for one in usable:
            taken = sum((_positive(one.generation, fuel) for fuel in variable), _NOTHING)
            rest = {fuel: mw for fuel, mw in one.generation.items() if fuel not in variable}
            past.append(
                Known(
                    length_s=one.end_at - one.start_at,
                    residual=one.beside[LOAD] - taken,
                    rest=output(rest, factors),
                )
            )
        return cls(past, variable, factors)

    def point(self, slot: Slot) -> Point | None:
        """The intensity expected, or ``None`` where a forecast that it rests on is missing."""
        values = slot.values
        load = values.get(LOAD, _NOTHING)
        if load <= 0 or not values.keys() >= set(self._variable):
            return None
        variable = {fuel: _positive(values, fuel) for fuel in self._variable}
        taken = output(variable, self._factors)
        rest = self._nearest(load - taken.amount)
        amount, grams = rest.amount, rest.grams
        if TOTAL in values and amount > 0:
            amount = max(values[TOTAL] - taken.amount, _NOTHING)
            grams = rest.grams / rest.amount * amount
        expected = Output(amount + taken.amount, grams + taken.grams).mg_per_kwh
        return None if expected is None else Point(slot.start_at, slot.end_at, expected)

    def _nearest(self, residual: Fraction) -> Output:
        """The time-weighted mean of the nearest ``NEIGHBOUR_S``, or of all there is."""
        above = bisect_left(self._residuals, residual)
        below = above - 1
        length, amount, grams = 0, _NOTHING, _NOTHING
        while length < NEIGHBOUR_S and (below >= 0 or above < len(self._past)):
            if above == len(self._past) or (
                below >= 0
                and residual - self._residuals[below] <= self._residuals[above] - residual
            ):
                one = self._past[below]
                below -= 1
            else:
                one = self._past[above]
                above += 1
            length += one.length_s
            amount += one.rest.amount * one.length_s
            grams += one.rest.grams * one.length_s
        return Output(amount / length, grams / length)


def _positive(values: Mapping[str, Fraction], fuel: str) -> Fraction:
    return max(values.get(fuel, _NOTHING), _NOTHING)
