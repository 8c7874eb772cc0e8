"""What people see of the grid: its intensity now, the hours to come, the cleanest window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from carbonsched.errors import RequestError
from carbonsched.ledger.issues import Issue
from carbonsched.model.intensity import Forecast, Point, StepSeries
from carbonsched.planning.series import Cumulative
from carbonsched.ports import Clock
from carbonsched.services.fetch import FetchIntensity
from carbonsched.services.grid import Grid
from carbonsched.services.reopen import KeepActuals
from carbonsched.services.ticks import WriterLock

CURRENT_WITHIN_S = 24 * 3600
STEP_S = 3600
SLOT_S = 900
_MG_PER_G = 1000
Row = dict[str, Any]


class Outlook:
    """Makes the document of ``csinfo`` and ``carbonsched intensity show`` from the archive."""

    def __init__(self, grid: Grid, clock: Clock) -> None:
        self._grid = grid
        self._clock = clock

    def document(self, zones: Sequence[str], hours: int, length_s: int | None) -> Row:
        """These zones, or all, for the next hours; with the best window of a length.

        Raises:
            RequestError: a zone that the site does not have.
        """
        now = self._clock.now()
        known = list(self._grid.zones)
        for zone in zones:
            if zone not in known:
                raise RequestError(f"no grid zone {zone!r}; this site has {', '.join(known)}")
        return {
            "now": now,
            "hours": hours,
            "length_s": length_s,
            "zones": [self._zone(zone, now, hours, length_s) for zone in zones or known],
        }

    def _zone(self, zone: str, now: int, hours: int, length_s: int | None) -> Row:
        issue = self._grid.issue(zone, now)
        if issue is not None and (issue.forecast.ends_at or 0) <= now:
            issue = None  # it is over: nothing is known of what comes
        ranking = self._grid.ranking(zone, now)
        until_at = now + hours * 3600
        return {
            "zone": zone,
            "current": self._current(zone, now),
            **_whose(issue),
            "ranking_label": ranking.info.label if ranking else None,
            "steps": _steps(issue.forecast, now, until_at) if issue else [],
            "window": _window(issue.forecast, now, until_at, length_s)
            if issue and length_s
            else None,
        }

    def _current(self, zone: str, now: int) -> Row | None:
        pieces = self._grid.actual(zone, now - CURRENT_WITHIN_S, now, now)
        if not pieces:
            return None
        last = pieces[-1]
        return {
            "start_at": last.start_at, "end_at": last.end_at,
            "g_per_kwh": last.mg_per_kwh / _MG_PER_G, "estimated": last.estimated,
            "label": last.info.label, "fetched_at": last.fetched_at,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class IntensityTools:
    """What the administrator's intensity commands work with, beside the ledger."""

    grid: Grid
    outlook: Outlook
    fetch: FetchIntensity
    keeper: KeepActuals
    lock: WriterLock
    clock: Clock


def _whose(issue: Issue | None) -> Row:
    return {
        "forecast_label": issue.forecast.info.label if issue else None,
        "issued_at": issue.forecast.issued_at if issue else None,
        "fetched_at": issue.fetched_at if issue else None,
        "ends_at": issue.forecast.ends_at if issue else None,
    }


def _steps(forecast: Forecast, now: int, until_at: int) -> list[Row]:
    """Means of clock hours, the first from now on; hours that are not covered are left out.

    The ends of an hour's interval are the means of its periods' ends, which is never too narrow.
    """
    middle = forecast.steps
    ends = _bands(forecast)
    rows = []
    for hour_at in range(now // STEP_S * STEP_S, until_at, STEP_S):
        start_at, end_at = max(now, hour_at), min(hour_at + STEP_S, until_at)
        mean = middle.mean(start_at, end_at)
        if mean is None:
            continue
        low, high = (one.mean(start_at, end_at) if one else None for one in ends)
        rows.append(
            {
                "start_at": start_at, "end_at": end_at, "g_per_kwh": _grams(mean),
                "low": None if low is None else _grams(low),
                "high": None if high is None else _grams(high),
            }
        )  # fmt: skip
    return rows


def _bands(forecast: Forecast) -> tuple[StepSeries | None, StepSeries | None]:
    if forecast.band is None:
        return None, None
    lows, highs = (
        StepSeries(
            tuple(
                Point(point.start_at, point.end_at, interval[end])
                for point, interval in zip(forecast.points, forecast.band, strict=True)
            )
        )
        for end in (0, 1)
    )
    return lows, highs


def _window(forecast: Forecast, now: int, until_at: int, length_s: int) -> Row | None:
    """The earliest of the cleanest windows that start now or on a quarter of an hour."""
    ahead = Cumulative(forecast, now)
    last_at = min(until_at, ahead.end_at) - length_s
    if last_at < now:
        return None
    slots = range((now // SLOT_S + 1) * SLOT_S, last_at + 1, SLOT_S)
    starts = np.array([now, *slots], dtype=np.int64)
    integrals = ahead.windows(starts, length_s)
    best = int(np.argmin(integrals))
    return {
        "start_at": int(starts[best]),
        "end_at": int(starts[best]) + length_s,
        "g_per_kwh": _grams(Fraction(int(integrals[best]), length_s)),
        "now_g_per_kwh": _grams(Fraction(int(integrals[0]), length_s)),
    }


def _grams(mg_per_kwh: Fraction) -> float:
    return float(round(mg_per_kwh)) / _MG_PER_G
