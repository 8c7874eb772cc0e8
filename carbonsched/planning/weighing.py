"""Choosing among the windows of one job that may wait."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from carbonsched.model.plan import Reason
from carbonsched.model.prediction import Prediction
from carbonsched.planning.capacity import Room
from carbonsched.planning.request import PlanningJob, PlanningParameters
from carbonsched.planning.series import Cumulative, Integers
from carbonsched.units import J_PER_KWH, PPM


@dataclass(frozen=True, slots=True)
class Choice:
    """A start, why, and the forecast's integrals over its window and the earliest one's."""

    start_at: int
    reason: Reason
    why: str = ""
    integral: int | None = None
    baseline: int | None = None


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Starts in time order, the earliest possible first; integrals; indices of those with room."""

    starts: Integers
    integrals: Integers
    allowed: Integers

    @property
    def baseline(self) -> int:
        return int(self.integrals[0])

    def best(self) -> int:
        """The index of the cheapest start with room; the earliest of equals."""
        return int(self.allowed[np.argmin(self.integrals[self.allowed])])


class Weigher:
    """Weighs jobs one after another against the same forecast and the room that is left."""

    def __init__(
        self,
        now: int,
        parameters: PlanningParameters,
        pue_ppm: int,
        ahead: Cumulative,
        room: Room,
    ) -> None:
        self._now = now
        self._parameters = parameters
        self._pue_ppm = pue_ppm
        self._ahead = ahead
        self._room = room
        slot_s = parameters.slot_s
        first_at = (now // slot_s + 1) * slot_s
        self._slots: Integers = np.arange(first_at, ahead.end_at, slot_s, dtype=np.int64)

    def weigh(self, job: PlanningJob, prediction: Prediction) -> Choice:
        """The cleanest admissible start if it gains enough, else the earliest."""
        floor_at = job.floor_at(self._now)
        if not self._ahead.covers(floor_at, floor_at + prediction.duration_s):
            return Choice(floor_at, Reason.FORECAST_TOO_SHORT, "the forecast ends before the job")
        found = self._candidates(job, prediction)
        needed = self._needed(prediction, found.baseline)
        if needed is None:
            return self._now_because(job, found, None)
        best = found.best()
        integral = int(found.integrals[best])
        standing = self._standing(job, prediction)
        if (
            standing is not None
            and standing <= found.baseline
            and standing - integral < needed
            and job.planned_start_at is not None
        ):
            return Choice(
                job.planned_start_at, Reason.CLEANER, "as planned before", standing, found.baseline
            )
        if found.baseline - integral >= needed:
            start_at = int(found.starts[best])
            return Choice(start_at, Reason.CLEANER, "", integral, found.baseline)
        return self._now_because(job, found, needed)

    def _candidates(self, job: PlanningJob, prediction: Prediction) -> _Candidates:
        """The earliest start, and the slots up to the latest whose window the forecast covers."""
        floor_at, duration_s = job.floor_at(self._now), prediction.duration_s
        last_at = min(job.bounds.latest_at, self._ahead.end_at - duration_s)
        first, end = np.searchsorted(self._slots, [floor_at, last_at], side="right")
        starts = np.concatenate(([floor_at], self._slots[first:end]))
        allowed = self._room.fits(starts, duration_s, job.cpus)
        allowed[0] = True  # the queue takes a job at any time: starting at once is never refused
        return _Candidates(
            starts=starts,
            integrals=self._ahead.windows(starts, duration_s),
            allowed=np.flatnonzero(allowed).astype(np.int64),
        )

    def _needed(self, prediction: Prediction, baseline: int) -> int | None:
        """The smallest difference of integrals worth a deferral; ``None`` where none can be."""
        mg_per_integral = Fraction(
            prediction.energy_j * self._pue_ppm, J_PER_KWH * PPM * prediction.duration_s
        )
        if mg_per_integral == 0:
            return None
        absolute = self._parameters.minimum_gain_mg / mg_per_integral
        relative = Fraction(self._parameters.minimum_gain_pct) * baseline / 100
        return max(1, -(-absolute // 1), -(-relative // 1))

    def _standing(self, job: PlanningJob, prediction: Prediction) -> int | None:
        """The integral over the window the job was deferred to, if it can still be kept."""
        start_at, duration_s = job.planned_start_at, prediction.duration_s
        if start_at is None or not job.floor_at(self._now) < start_at <= job.bounds.latest_at:
            return None
        starts = np.array([start_at], dtype=np.int64)
        if not self._ahead.covers(start_at, start_at + duration_s):
            return None
        if not self._room.fits(starts, duration_s, job.cpus)[0]:
            return None
        return int(self._ahead.windows(starts, duration_s)[0])

    def _now_because(self, job: PlanningJob, found: _Candidates, needed: int | None) -> Choice:
        """The earliest start, and what kept the job from a cleaner one."""
        floor_at, slot_s = job.floor_at(self._now), self._parameters.slot_s
        if needed is not None and found.baseline - int(found.integrals.min()) >= needed:
            reason, why = Reason.NO_ROOM, "the cluster is full in every cleaner window"
        elif len(found.starts) > 1:
            reason, why = Reason.GAIN_TOO_SMALL, "waiting would save too little"
        elif (floor_at // slot_s + 1) * slot_s <= job.bounds.latest_at:
            reason, why = Reason.FORECAST_TOO_SHORT, "the forecast does not reach a later window"
        else:
            reason, why = Reason.NOT_DEFERRABLE, f"{job.bounds.why} leaves less than one slot"
        return Choice(floor_at, reason, why, found.baseline, found.baseline)
