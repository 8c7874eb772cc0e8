"""Our own forecast of each zone, made from what the archive holds by now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbonsched.forecasting.forecaster import ENOUGH_H, Forecaster, floored, floored_issue
from carbonsched.forecasting.hours import HOUR_S, Hourly, HourlyIssue, hourly
from carbonsched.ledger.archive import Archive
from carbonsched.ledger.issues import IssueColumns
from carbonsched.model.intensity import Forecast, Point
from carbonsched.services.grid import Grid

EVERY_S = 900
"""How often at most: the archive keeps every issue."""
PAST_S = 120 * 86_400
CURRENT_S = 86_400
"""How old a provider's newest issue may be and still tell of the hours to come."""
RECENT_S = 4 * 86_400
WHOLE_EVERY_S = 86_400
ISSUES_EVERY_S = 12 * 3600
"""Forecasts of the past are learnt from at the same time of day, and half a day before that."""
_MG_PER_G = 1000


@dataclass(frozen=True, slots=True)
class _Past:
    """A zone's actual values as hours, and when all of them were last read from the archive."""

    hours: Hourly
    read_at: int


class OwnForecasts:
    """Forecasts zones that have a week of actual values and do not ask for the provider's."""

    def __init__(self, archive: Archive, grid: Grid) -> None:
        self._archive = archive
        self._grid = grid
        self._forecaster = Forecaster(lag_h=0)  # what is not there is not known: the archive's lag
        self._past: dict[str, _Past] = {}

    def issue(self, zone: str, now: int) -> tuple[Forecast, str] | None:
        """The forecast of now and what it was made from.

        ``None`` where the last one is not yet :data:`EVERY_S` old, or too little is known.
        """
        known = self._grid.zones.get(zone)
        if known is None or known.own is None or known.forecast == "provider":
            return None
        before = self._archive.issues.latest([known.own], now, now)
        if before is not None and before.forecast.issued_at > now - EVERY_S:
            return None
        actual = self._actual(zone, now)
        if int(np.isfinite(actual.values).sum()) < ENOUGH_H:
            return None
        made = self._forecaster.forecast(now, actual, self._issues(zone, now))
        if made is None:
            return None
        points, band = made.points()
        ahead = [index for index, point in enumerate(points) if point.end_at > now]
        forecast = Forecast(
            info=known.own,
            issued_at=now,
            points=tuple(points[index] for index in ahead),
            band=tuple(band[index] for index in ahead),
        )
        return forecast, "; ".join(made.inputs)

    def _issues(self, zone: str, now: int) -> list[HourlyIssue]:
        """Of the chain the first provider's that has one of now, else of any.

        Never of two at once: their errors are their own.
        """
        older: list[HourlyIssue] = []
        for info in self._grid.zones[zone].chain:
            found = self._archive.issues.newest_by(
                info, now, ISSUES_EVERY_S, PAST_S // ISSUES_EVERY_S
            )
            issues = [floored_issue(on_hours(one)) for one in found]
            if issues and issues[-1].issued_at >= now - CURRENT_S:
                return issues
            older = older or issues
        return older

    def _actual(self, zone: str, now: int) -> Hourly:
        """What counts of the last months; only the last days are read each time."""
        end_at = now // HOUR_S * HOUR_S
        held = self._past.get(zone)
        if held is None or not held.read_at <= now < held.read_at + WHOLE_EVERY_S:
            held = _Past(self._read(zone, end_at - PAST_S, end_at, now), now)
            self._past[zone] = held
            return held.hours
        start_at = end_at - RECENT_S
        recent = self._read(zone, start_at, end_at, now)
        older = held.hours.between(end_at - PAST_S, start_at)
        whole = Hourly(end_at - PAST_S, np.concatenate((older, recent.values)))
        self._past[zone] = _Past(whole, held.read_at)
        return whole

    def _read(self, zone: str, start_at: int, end_at: int, now: int) -> Hourly:
        pieces = self._grid.actual(zone, start_at, end_at, now)
        measured = (piece.point for piece in pieces if not piece.info.static)
        # A zero of the archive was proven where it came in.
        return floored(hourly(measured, start_at, end_at))


def on_hours(issue: IssueColumns) -> HourlyIssue:
    """A provider's forecast as means of whole hours; an hour not covered throughout is missing."""
    starts, ends = issue.starts, issue.ends
    if not starts.size:
        return HourlyIssue(issue.issued_at, Hourly(issue.issued_at // HOUR_S * HOUR_S, np.empty(0)))
    first = int(starts[0]) // HOUR_S
    if bool(((ends - 1) // HOUR_S != starts // HOUR_S).any()):  # periods that reach over an hour
        rows = zip(starts.tolist(), ends.tolist(), issue.mg_per_kwh.tolist(), strict=True)
        points = (Point(start, end, mg) for start, end, mg in rows)
        return HourlyIssue(issue.issued_at, hourly(points, first * HOUR_S, int(ends[-1])))
    hours, lengths = starts // HOUR_S - first, ends - starts
    count = int(hours[-1]) + 1
    sums = np.bincount(hours, weights=(issue.mg_per_kwh * lengths).astype(float), minlength=count)
    covered = np.bincount(hours, weights=lengths.astype(float), minlength=count)
    means = np.where(covered == HOUR_S, sums / (HOUR_S * _MG_PER_G), np.nan)
    return HourlyIssue(issue.issued_at, Hourly(first * HOUR_S, means))
