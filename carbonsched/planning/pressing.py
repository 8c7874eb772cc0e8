"""Latest starts: how long a job may be kept waiting, and which can wait no longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from carbonsched.model.job import JobKey
from carbonsched.model.plan import Reason
from carbonsched.planning.choosing import Choice
from carbonsched.planning.request import ClusterState, Place, PlanningJob
from carbonsched.planning.rooms import Rooms
from carbonsched.planning.triage import Order, least_danger

_SPARE_S = 5400
_SPARE_WIDE = 5.0
_SPARE_SHARE = 4
"""So long before its latest start a job is to have its CPUs; so many times longer on top if it
takes a whole cluster; and no more than this part of the time that it may wait."""
_DOUBT = 0.15
"""By so much of the time that the queue is reckoned to take it may take longer."""
_LEAD_S = 1800
_LEAD_WIDE_S = 6 * 3600
"""So long before it is let in a job goes to the queue; so much longer if it takes a whole cluster,
which has to be drained for it."""
_SOON_S = 1800
"""On a full cluster a job with less time than this goes to the queue, while it is in turn."""
PRESSED = "the queue may not have its CPUs before its latest start otherwise"
FULL = "the cluster is full in every cleaner window"


class Pressing:
    """What latest starts ask for, on these clusters."""

    def __init__(self, now: int, clusters: Mapping[str, ClusterState]) -> None:
        self._now = now
        self._clusters = clusters

    def last_at(self, job: PlanningJob) -> int:
        """Its latest start less what a queue may take."""
        floor_at = job.floor_at(self._now)
        return max(floor_at, job.bounds.latest_at - self._spare_s(job))

    def _spare_s(self, job: PlanningJob) -> int:
        waits_s = job.bounds.latest_at - job.bounds.earliest_at
        width = min((self._width(place) for place in job.places), default=0.0)
        return min(int(_SPARE_S * (1 + _SPARE_WIDE * width)), waits_s // _SPARE_SHARE)

    def _width(self, place: Place) -> float:
        """The share of the cluster that it takes."""
        return min(1.0, place.cpus / max(1, self._clusters[place.cluster].cpus))

    def pressed(
        self, jobs: Sequence[PlanningJob], rooms: Rooms, *, crowded: bool
    ) -> list[PlanningJob]:
        """Those that may be late unless they take what they can get, by their latest starts.

        If everything went into the queue now, in that order, and ran long. On a ``crowded``
        cluster not all that waits fits beside what runs.
        """
        pressed = []
        for job in sorted(jobs, key=urgency):
            at, _ = rooms.queue(job.places, job.floor_at(self._now))
            soon = crowded and self.last_at(job) - job.floor_at(self._now) < _SOON_S
            if at is None or soon or self._tight(job, at):
                pressed.append(job)
        return pressed

    def order(
        self, jobs: Sequence[PlanningJob], pressed: Sequence[PlanningJob], rooms: Rooms
    ) -> Order:
        """In which order jobs are to take room, of which these are ``pressed``.

        Those first, unless another order by typical lengths has clearly fewer late.
        """
        if not pressed:
            return Order((), ())
        cpus = sum(cluster.cpus for cluster in self._clusters.values())
        by_latest = sorted(jobs, key=urgency)
        found = least_danger(by_latest, rooms, self._now, cpus, self._tight)
        return found or Order(tuple(pressed), ())

    def _tight(self, job: PlanningJob, at: int) -> bool:
        return self._at_worst(at) > self.last_at(job)

    def _at_worst(self, at: int) -> float:
        return at + _DOUBT * (at - self._now)

    def queue_for(self, job: PlanningJob, rooms: Rooms) -> Place:
        """On which cluster a job in a queue waits: another than now if it would be late on its own.

        Counts it there.
        """
        own, floor_at = job.places[:1], job.floor_at(self._now)
        at = rooms.first_at(own[0], floor_at)
        if at is not None and self._at_worst(at) <= job.bounds.latest_at:
            rooms.take(own[0], at)
            return own[0]
        _, place = rooms.queue(job.places, floor_at)
        return place

    def hurry(
        self, job: PlanningJob, rooms: Rooms, why: str, until_at: int | None = None
    ) -> Choice:
        """Where it is let in first, whatever it emits; kept from the queue to ``until_at`` at most.

        It goes to a queue when that is near: until then it may go elsewhere, and no other job that
        is due before it has to queue behind it.
        """
        floor_at = job.floor_at(self._now)
        at, place = rooms.queue(job.places, floor_at)
        lead_s = _LEAD_S + int(_LEAD_WIDE_S * self._width(place))
        if at is None or at <= floor_at + lead_s:
            return Choice(floor_at, Reason.NO_ROOM, why, place)
        start_at = min(at - lead_s, self.last_at(job) if until_at is None else until_at)
        planned_at = job.planned_start_at
        if planned_at is not None and max(floor_at, start_at - _LEAD_S) < planned_at <= start_at:
            start_at = planned_at  # not worth another call
        return Choice(start_at, Reason.NO_ROOM, why, place)


def spare_of_s(slack_s: int) -> int:
    """What of a running job's slack is kept if it is to pause."""
    return min(_SPARE_S, slack_s // 8)


def urgency(job: PlanningJob) -> tuple[int, JobKey]:
    """The order of latest starts."""
    return job.bounds.latest_at, job.key
