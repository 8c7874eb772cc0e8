"""Choosing among the starts of one job that may wait."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from carbonsched.model.job import JobKey
from carbonsched.model.plan import Reason
from carbonsched.planning.ahead import Ahead
from carbonsched.planning.capacity import Flags
from carbonsched.planning.lengths import Floats
from carbonsched.planning.pausing import pieces
from carbonsched.planning.request import Place, PlanningJob, PlanningParameters
from carbonsched.planning.rooms import Rooms
from carbonsched.planning.series import Integers

_DISCOUNT = 0.9
"""Prices at which the CPUs are just enough leave jobs that are alike undecided, and CPUs that all
of them spurn are lost: a little cheaper, whoever comes first takes them while there is room."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A start, where, and why; ``queue_at`` is when its own cluster's queue would let it in.

    ``in_pieces``: it is the first of several pieces.
    """

    start_at: int
    reason: Reason
    why: str = ""
    place: Place | None = None
    queue_at: int | None = None
    in_pieces: bool = False


@dataclass(frozen=True, slots=True)
class _Starts:
    """One place of a job: instants in order, the earliest possible first; milligrams of each."""

    place: Place
    at: Integers
    carbon_mg: Floats
    cost_mg: Floats


_Best = tuple[Place, int, float]
"""A place, a start, and what it costs in milligrams."""


class Costs:
    """What a CPU costs at each instant of ``at``, for the places of all jobs of a plan at once.

    ``at`` is now and the beginnings of the slots ahead.
    """

    def __init__(
        self, ahead: Mapping[str, Ahead], jobs: Sequence[PlanningJob], at: Integers
    ) -> None:
        self.at = at
        self._rows: dict[tuple[JobKey, str], tuple[Floats, Floats]] = {}
        for name, one in ahead.items():
            here = [
                (job.key, place) for job in jobs for place in job.places if place.cluster == name
            ]
            if not here:
                continue
            places = [place for _, place in here]
            carbon, worth = one.at(one.carbon(places), at), one.at(one.worth(places), at)
            for number, (key, _) in enumerate(here):
                self._rows[key, name] = (carbon[number], worth[number])

    def of(
        self, job: PlanningJob, place: Place, floor_at: int, until_at: int
    ) -> tuple[Integers, Floats, Floats]:
        """Instants from ``floor_at`` on; the costs of carbon, and what its CPUs are worth, then."""
        carbon, worth = self._rows[job.key, place.cluster]
        first, end = np.searchsorted(self.at, [floor_at, until_at], side="right")
        if first and self.at[first - 1] == floor_at:
            span = slice(first - 1, max(first, end))
            return self.at[span], carbon[span], worth[span]
        at = np.concatenate(([floor_at], self.at[first:end]))
        return at, np.interp(at, self.at, carbon), np.interp(at, self.at, worth)


def slots_ahead(now: int, parameters: PlanningParameters) -> Integers:
    """Now, and the beginnings of slots that starts may be put off to."""
    slot_s = parameters.slot_s
    first_at = (now // slot_s + 1) * slot_s
    later = np.arange(first_at, now + parameters.horizon_s, slot_s, dtype=np.int64)
    return np.concatenate((np.array([now], dtype=np.int64), later))


class Chooser:
    """Chooses for one job after another, in the room that is left."""

    def __init__(
        self,
        now: int,
        parameters: PlanningParameters,
        ahead: Mapping[str, Ahead],
        costs: Costs,
        rooms: Rooms,
    ) -> None:
        self._now = now
        self._parameters = parameters
        self._ahead = ahead
        self._costs = costs
        self._rooms = rooms

    def choose(self, job: PlanningJob, last_at: int) -> Choice | None:
        """The start that costs least where there is room, up to ``last_at``; counts it.

        The one that the queue would give it, where no other saves enough; ``None`` where there is
        no room up to then.
        """
        floor_at, places = job.floor_at(self._now), job.places
        own = places[0]
        starts = [self._starts(job, one, last_at) for one in places if one.cluster in self._ahead]
        if not self._covers(own, floor_at):
            return self._queued(job, Reason.FORECAST_TOO_SHORT, "the forecast ends before the job")
        now_mg = float(starts[0].carbon_mg[0])
        needed_mg = self._needed(now_mg)
        cleanest_mg = min(float(one.carbon_mg.min()) for one in starts)
        if needed_mg is None or now_mg - cleanest_mg < needed_mg:
            return self._too_little(job, len(starts[0].at) > 1, last_at)
        fitting = [self._fitting(one) for one in starts]
        queued = int(fitting[0].argmax()) if fitting[0].any() else None
        best = self._best(starts, fitting, queued, needed_mg)
        if best is None:
            return None
        queue_at = None if queued is None else int(starts[0].at[queued])
        piece = self._piece(job, starts[0], best, needed_mg)
        return piece or self._taken(job, starts[0], fitting[0], best, needed_mg, queue_at)

    def _taken(
        self,
        job: PlanningJob,
        own: _Starts,
        fitting: Flags,
        best: _Best,
        needed_mg: float,
        queue_at: int | None,
    ) -> Choice:
        """The start it was deferred to if that stands, else the best; counts it."""
        standing_at = self._standing(job, own, fitting, best, needed_mg)
        place, start_at = (own.place, standing_at) if standing_at is not None else best[:2]
        self._rooms.take(place, start_at)
        if standing_at is None and (place, start_at) == (own.place, queue_at):
            why = "every cleaner window is full or worth more to other jobs"
            return Choice(start_at, Reason.NO_ROOM, why, place)
        why = "" if standing_at is None else "as planned before"
        return Choice(start_at, Reason.CLEANER, why, place, queue_at)

    def _covers(self, place: Place, start_at: int) -> bool:
        return self._ahead[place.cluster].signal.covers(start_at, place.length)

    def _starts(self, job: PlanningJob, place: Place, last_at: int) -> _Starts:
        ahead = self._ahead[place.cluster]
        until_at = min(last_at, ahead.signal.last_start(place.length))
        at, carbon, worth = self._costs.of(job, place, job.floor_at(self._now), until_at)
        cpu_slots = place.cpus * ahead.slots_of(place.length)
        carbon_mg = ahead.signal.known_length_mg(place, at)
        if carbon_mg is None:
            carbon_mg = carbon * cpu_slots
        return _Starts(place, at, carbon_mg, carbon_mg + _DISCOUNT * worth * cpu_slots)

    def _needed(self, now_mg: float) -> float | None:
        """What a deferral has to save; ``None`` where nothing can be saved."""
        if now_mg <= 0:
            return None
        return max(self._parameters.needed_mg(now_mg), 1e-6)

    def _fitting(self, one: _Starts) -> Flags:
        length_s = self._rooms.length_s(one.place.length)
        room = self._rooms[one.place.cluster]
        return room.fits(one.at, length_s, math.ceil(one.place.cpus))

    def _best(
        self,
        starts: Sequence[_Starts],
        fitting: Sequence[Flags],
        queued: int | None,
        needed_mg: float,
    ) -> _Best | None:
        """The start that costs least of those that save enough, or the queue's."""
        own = starts[0]
        limit_mg = np.inf if queued is None else own.carbon_mg[queued] - needed_mg
        found: _Best | None = None
        if queued is not None:
            found = own.place, int(own.at[queued]), float(own.cost_mg[queued]) - needed_mg
        for one, fits in zip(starts, fitting, strict=True):
            cost = np.where(fits & (one.carbon_mg <= limit_mg), one.cost_mg, np.inf)
            # The earliest of equals: sums of floats differ in their last digits.
            index = int((cost <= cost.min() * (1 + 1e-9) + 1e-9).argmax())
            if np.isfinite(cost[index]) and (found is None or cost[index] <= found[2]):
                found = one.place, int(one.at[index]), float(cost[index])
        return found

    def _piece(
        self, job: PlanningJob, own: _Starts, best: _Best, needed_mg: float
    ) -> Choice | None:
        """The first of several pieces, where these cost less than the best run in one go."""
        if job.stop_cost_s is None or len(own.at) < 2:
            return None
        place, ahead = own.place, self._ahead[own.place.cluster]
        work = ahead.slots_of(place.length)
        slot_s = ahead.slot_s
        first = (int(own.at[0]) - ahead.base_at) // slot_s
        cost = ahead.cost(place.watts, place.cpus)[first:]
        window = work + (int(own.at[-1]) - int(own.at[0])) / slot_s
        found = pieces(cost, work, window, job.stop_cost_s / slot_s)
        if len(found.runs) < 2 or own.cost_mg[0] - found.saved_mg >= best[2] - needed_mg:
            return None
        length_s = (found.runs[0][1] - found.runs[0][0]) * slot_s
        start_at = max(int(own.at[0]), ahead.base_at + (first + found.runs[0][0]) * slot_s)
        room, cpus = self._rooms[place.cluster], math.ceil(place.cpus)
        if not room.fits(np.array([start_at], dtype=np.int64), length_s, cpus)[0]:
            return None
        for begins, ends in found.runs:
            at = max(int(own.at[0]), ahead.base_at + (first + begins) * slot_s)
            room.hold(at, ahead.base_at + (first + ends) * slot_s, cpus)
        why = f"in {len(found.runs)} pieces"
        return Choice(start_at, Reason.CLEANER, why, place, in_pieces=True)

    def _standing(
        self,
        job: PlanningJob,
        own: _Starts,
        fitting: Flags,
        best: _Best,
        needed_mg: float,
    ) -> int | None:
        """The start it was deferred to, if it can still be kept and is hardly worse."""
        if job.planned_start_at is None:
            return None
        index = int(np.searchsorted(own.at, job.planned_start_at))
        if index == 0 or index == len(own.at) or own.at[index] != job.planned_start_at:
            return None
        if not fitting[index] or own.cost_mg[index] - best[2] >= needed_mg:
            return None
        return int(own.at[index])

    def _too_little(self, job: PlanningJob, could_wait: bool, last_at: int) -> Choice:
        if could_wait:
            return self._queued(job, Reason.GAIN_TOO_SMALL, "waiting would save too little")
        slot_s = self._parameters.slot_s
        if (job.floor_at(self._now) // slot_s + 1) * slot_s <= last_at:
            why = "the forecast does not reach a later window"
            return self._queued(job, Reason.FORECAST_TOO_SHORT, why)
        why = f"{job.bounds.why} leaves less than one slot"
        return self._queued(job, Reason.NOT_DEFERRABLE, why)

    def _queued(self, job: PlanningJob, reason: Reason, why: str) -> Choice:
        """The earliest start, on its own cluster: the queue takes a job at any time."""
        floor_at = job.floor_at(self._now)
        self._rooms.queue(job.places[:1], floor_at)
        return Choice(floor_at, reason, why, job.places[0])
