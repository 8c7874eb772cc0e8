"""Latest starts: how long a job may be kept waiting, and which can wait no longer."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from carbonsched.model.job import JobKey
from carbonsched.model.plan import Reason
from carbonsched.planning.choosing import Choice
from carbonsched.planning.request import ClusterState, Place, PlanningJob
from carbonsched.planning.rooms import Rooms

_SPARE_S = 5400
_SPARE_WIDE = 2.0
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
_PACKING = 0.85
"""The share of the CPUs that a full cluster uses: jobs do not fill it to the brim."""


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
        """Those that may be late unless they take what they can get, in the order of hurry.

        If everything went into the queue now, in order of latest starts, and ran long. On a
        ``crowded`` cluster not all that waits fits beside what runs.
        """
        pressed = []
        for job in sorted(jobs, key=urgency):
            at, _ = rooms.queue(job.places, job.floor_at(self._now))
            last_at = self.last_at(job)
            soon = crowded and last_at - job.floor_at(self._now) < _SOON_S
            if at is None or soon or at + _DOUBT * (at - self._now) > last_at:
                pressed.append(job)
        return self._fewest_late(pressed)

    def _fewest_late(self, pressed: list[PlanningJob]) -> list[PlanningJob]:
        """In order of latest starts; last those that had better be late, as not all can be in time.

        Of one machine that does all work at the rate of all clusters, the rule of Moore (1968):
        where a job would be late, the largest so far is put off.
        """
        cpus = _PACKING * max(1, sum(cluster.cpus for cluster in self._clusters.values()))
        kept: list[tuple[float, int]] = []
        at = float(self._now)
        late: set[int] = set()
        for number, job in enumerate(pressed):
            if at > job.bounds.latest_at and kept and -kept[0][0] > _work(job) / cpus:
                longest_s, other = heapq.heappop(kept)
                at += longest_s
                late.add(other)
            heapq.heappush(kept, (-_work(job) / cpus, number))
            at += _work(job) / cpus
        on_time = [job for number, job in enumerate(pressed) if number not in late]
        return on_time + [job for number, job in enumerate(pressed) if number in late]

    def hurry(self, job: PlanningJob, rooms: Rooms) -> Choice:
        """Where it is let in first, whatever it emits.

        It goes to a queue when that is near: until then it may go elsewhere, and no other job that
        is due before it has to queue behind it.
        """
        why = "the queue may not have its CPUs before its latest start otherwise"
        floor_at = job.floor_at(self._now)
        at, place = rooms.queue(job.places, floor_at)
        lead_s = _LEAD_S + int(_LEAD_WIDE_S * self._width(place))
        if at is None or at <= floor_at + lead_s:
            return Choice(floor_at, Reason.NO_ROOM, why, place)
        start_at = min(at - lead_s, self.last_at(job))
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


def _work(job: PlanningJob) -> float:
    """CPU-seconds, by its mean length."""
    place = job.places[0]
    return place.cpus * place.length.mean_s
