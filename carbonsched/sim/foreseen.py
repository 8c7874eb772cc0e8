"""The grid as the daemon foresees it: by what was issued and by what had occurred until then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carbonsched.forecasting import ENOUGH_H, HOUR_S, Forecaster, Hourly, HourlyIssue
from carbonsched.forecasting.forecaster import floored, floored_issue
from carbonsched.forecasting.hours import hourly, issue
from carbonsched.model.intensity import Forecast, SeriesInfo
from carbonsched.sim.scenario import Scenario

_PROVIDER = "carbonsched"


@dataclass(frozen=True, slots=True)
class _Zone:
    """All that a scenario has of a zone, on whole hours; issues in their order."""

    actual: Hourly
    issues: tuple[HourlyIssue, ...]

    def actual_until(self, now: int) -> Hourly:
        """The hours that are over."""
        return Hourly(self.actual.start_at, self.actual.values[: self._over(now)])

    def issued_by(self, now: int) -> Sequence[HourlyIssue]:
        """The forecasts that had been issued."""
        return self.issues[: bisect_right(self.issues, now, key=lambda one: one.issued_at)]

    def _over(self, now: int) -> int:
        return max(0, (now - self.actual.start_at) // HOUR_S)


class ForeseenGrid:
    """Our forecaster on what a scenario tells, each hour and at each new issue anew.

    With less than a week of actual values, as in the daemon, the forecast issued last.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._forecaster = Forecaster(lag_h=0)  # a value is known once its period is over
        recorded = (name for name, series in scenario.intensity.items() if series.points)
        self._zones = {name: _on_hours(scenario, name) for name in recorded}
        self._made: dict[str, tuple[tuple[int, int], Forecast | None]] = {}

    def forecast(self, zone: str, now: int) -> Forecast | None:
        """Its intensity ahead; ``None`` where nothing is known."""
        known = self._zones.get(zone)
        if known is None:
            return self._scenario.forecast(zone, now)
        issued = known.issued_by(now)
        state = now // HOUR_S, len(issued)
        made = self._made.get(zone)
        if made is None or made[0] != state:
            made = self._made[zone] = state, self._foreseen(zone, known.actual_until(now), now)
        return made[1]

    def _foreseen(self, zone: str, actual: Hourly, now: int) -> Forecast | None:
        issued = self._scenario.forecast(zone, now)
        if int(np.isfinite(actual.values).sum()) < ENOUGH_H:
            return issued
        made = self._forecaster.forecast(now, actual, self._zones[zone].issued_by(now))
        if made is None:
            return issued
        points, _ = made.points()
        info = SeriesInfo(provider=_PROVIDER, zone=zone, note="; ".join(made.inputs))
        return Forecast(info=info, issued_at=now, points=points)


def _on_hours(scenario: Scenario, zone: str) -> _Zone:
    points = scenario.intensity[zone].points
    issues = (issue(one.issued_at, one.points) for one in scenario.forecasts.get(zone, ()))
    return _Zone(
        floored(hourly(points, points[0].start_at, points[-1].end_at)),
        tuple(map(floored_issue, issues)),
    )
