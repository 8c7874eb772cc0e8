"""When a queue would let a job in, by the plans of all that wait there."""

from __future__ import annotations

from collections.abc import Sequence

from carbonsched.model.job import JobKey
from carbonsched.model.plan import Plan
from carbonsched.planning import PlanningRequest
from carbonsched.planning.rooms import TYPICAL, Rooms


def let_in_at(
    request: PlanningRequest, plans: Sequence[Plan], key: JobKey, from_at: int
) -> int | None:
    """The first instant from then on with room for a job once all others have theirs.

    ``None`` where it has none in the time looked at. A job of which nobody knows the length is let
    in at once.
    """
    jobs = {job.key: job for job in request.jobs}
    until_at = request.now + request.parameters.horizon_s
    slot_s = request.parameters.slot_s
    rooms = Rooms(request.clusters, request.now, until_at, slot_s, TYPICAL)
    for one in sorted(plans, key=lambda one: (one.start_at, one.key)):
        job = jobs[one.key]
        if one.key == key or one.start_at >= until_at:
            continue
        if job.places:
            rooms.queue(job.places[:1], one.start_at)
        else:
            rooms[job.key.cluster].hold(one.start_at, None, job.cpus)
    places = jobs[key].places
    return rooms.queue(places[:1], from_at)[0] if places else from_at
