"""The cleanest start that a job could have within its bounds, whatever the room."""

from __future__ import annotations

import numpy as np

from carbonsched.planning.request import Place, PlanningJob
from carbonsched.planning.signal import Signal


def cleanest_mg(
    signal: Signal, job: PlanningJob, place: Place, now: int, slot_s: int
) -> float | None:
    """What it would emit there at its cleanest start, by a forecast; milligrams.

    Starts are the earliest and the slots up to the latest, as far as the forecast covers them, and
    compared by the job's mean length; ``None`` where the forecast covers none.
    """
    floor_at = job.floor_at(now)
    if not signal.covers(floor_at, place.length):
        return None
    latest_at = job.bounds.latest_at if job.bounds.deferrable else floor_at
    first_at = (floor_at // slot_s + 1) * slot_s
    last_at = min(latest_at, signal.last_start(place.length))
    slots = np.arange(first_at, last_at + 1, slot_s, dtype=np.int64)
    starts = np.concatenate(([floor_at], slots))
    masses = signal.lasting_mg(place.watts, starts, place.length.mean_s)
    return signal.mass_mg(place, int(starts[masses.argmin()]))
