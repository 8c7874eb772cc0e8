"""What a forecast rests on, in words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from carbonsched.forecasting.hours import HOUR_S, Floats, HourlyIssue
from carbonsched.forecasting.profiles import DAY_H, Past

_ENOUGH_D = 28
_LEARNT_D = 7


def age_h(now: int, issues: Sequence[HourlyIssue]) -> int:
    """How many hours ago the latest issue was made; 0 where there is none."""
    index = bisect_right(issues, now, key=lambda one: one.issued_at) - 1
    return (now - issues[index].issued_at) // HOUR_S if index >= 0 else 0


def inputs(past: Past, lag_h: int, provider: Floats, issue_age_h: int) -> tuple[str, ...]:
    """What the forecast rests on: the provider, the actual values, and what was missing."""
    return (*_of_provider(provider, issue_age_h), *_of_past(past, lag_h))


def provider_alone(hours: int, issue_age_h: int) -> tuple[str, ...]:
    """The last step down: nothing to correct the provider with."""
    return (
        f"provider's forecast, {hours} h, issued {issue_age_h} h ago, uncorrected",
        "no actual values of the last two weeks: a typical interval, no longer horizon",
    )


def _of_provider(provider: Floats, issue_age_h: int) -> list[str]:
    now = np.isfinite(provider[0])
    if not now.any():
        return ["no provider's forecast: from the zone's own past alone"]
    end = int(np.flatnonzero(now)[-1]) + 1
    said = [f"provider's forecast, {end} h, issued {issue_age_h} h ago"]
    learnt = int(np.isfinite(provider[1:]).any(axis=1).sum())
    if learnt < _LEARNT_D:
        said.append(f"its errors known from {_days(learnt)} only: cautious weights")
    missing = int((~now[:end]).sum())
    if missing:
        said.append(f"{_hours(missing)} missing in it: filled from the zone's own past")
    if end < provider.shape[1]:
        said.append(f"{end} h extended to {provider.shape[1]} h from the zone's own past")
    return said


def _of_past(past: Past, lag_h: int) -> list[str]:
    month = past.days[:_ENOUGH_D]
    known = int(np.isfinite(month).sum())
    days = known / DAY_H
    if known < DAY_H:
        said = [f"actual values of {_hours(known)} only: level, no profile of the day"]
    elif int(np.isfinite(month).any(axis=1).sum()) < _ENOUGH_D:
        said = [f"actual values of {days:.0f} of the last {_ENOUGH_D} days"]
    else:
        said = [f"actual values of the last {_ENOUGH_D} days and more"]
        gaps = _ENOUGH_D * DAY_H - known
        if gaps:
            said.append(f"{_hours(gaps)} missing in them")
    if past.lag_h > lag_h:
        said.append(f"actual values end {_hours(past.lag_h)} ago")
    return said


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"


def _hours(count: int) -> str:
    return f"{count} hour" if count == 1 else f"{count} hours"
