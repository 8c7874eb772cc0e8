"""A forecast as the rules see it: without an end, level over each period or interpolated."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise

from carbonsched.model.intensity import Forecast

_DAY_S = 86_400


class Outlook:
    """Sums of a forecast that repeats its last 24 hours beyond its horizon.

    Integrals are in mg/kWh times seconds. Before its first period a forecast has the first value.
    """

    def __init__(self, forecast: Forecast, until_at: int) -> None:
        points = forecast.points
        self.step_s = points[0].end_at - points[0].start_at
        self._times = [point.start_at for point in points]
        self._levels = [float(point.mg_per_kwh) for point in points]
        last_day = [
            (point.start_at - points[-1].end_at + _DAY_S, float(point.mg_per_kwh))
            for point in points
            if point.start_at >= points[-1].end_at - _DAY_S
        ]
        end_at = points[-1].end_at
        while end_at <= until_at:
            self._times += [end_at + offset_s for offset_s, _ in last_day]
            self._levels += [level for _, level in last_day]
            end_at += _DAY_S
        self._times.append(end_at)
        self._levels.append(last_day[0][1])
        spans = [after - before for before, after in pairwise(self._times)]
        self._steps = [0.0, *accumulate(a * s for a, s in zip(self._levels, spans, strict=False))]
        means = [(a + b) / 2 for a, b in pairwise(self._levels)]
        self._slopes = [0.0, *accumulate(m * s for m, s in zip(means, spans, strict=True))]

    def level(self, start_at: int, end_at: int) -> float:
        """The integral of values that hold for their whole periods."""
        return self._level_to(end_at) - self._level_to(start_at)

    def interpolated(self, start_at: int, end_at: int) -> float:
        """The integral of straight lines between the values at the periods' starts."""
        return self._line_to(end_at) - self._line_to(start_at)

    def _place(self, at: int) -> int:
        return min(max(0, bisect_right(self._times, at) - 1), len(self._times) - 2)

    def _level_to(self, at: int) -> float:
        index = self._place(at)
        return self._steps[index] + self._levels[index] * (at - self._times[index])

    def _line_to(self, at: int) -> float:
        index = self._place(at)
        past_s = at - self._times[index]
        if past_s < 0:
            return self._levels[0] * past_s
        span_s = self._times[index + 1] - self._times[index]
        here, after = self._levels[index], self._levels[index + 1]
        reached = here + (after - here) * past_s / span_s
        return self._slopes[index] + (here + reached) / 2 * past_s
