"""The cleanest start that a job could have within its bounds, whatever the room."""

from __future__ import annotations

import numpy as np

from carbonsched.planning.request import PlanningJob
from carbonsched.planning.series import Cumulative


def cleanest(
    ahead: Cumulative, job: PlanningJob, duration_s: int, now: int, slot_s: int
) -> int | None:
    """The smallest integral of a forecast over any window that the job may run in.

    Windows begin at the earliest start and at the slots up to the latest, as far as the forecast
    covers them; ``None`` where it covers none.
    """
    floor_at = job.floor_at(now)
    if not ahead.covers(floor_at, floor_at + duration_s):
        return None
    latest_at = job.bounds.latest_at if job.bounds.deferrable else floor_at
    first_at = (floor_at // slot_s + 1) * slot_s
    last_at = min(latest_at, ahead.end_at - duration_s)
    slots = np.arange(first_at, last_at + 1, slot_s, dtype=np.int64)
    starts = np.concatenate(([floor_at], slots))
    return int(ahead.windows(starts, duration_s).min())
