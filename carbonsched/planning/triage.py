"""When jobs press on each other: in which order the fewest may be late."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

from carbonsched.planning.request import PlanningJob
from carbonsched.planning.rooms import Rooms

_PACKING = 0.85
"""The share of the CPUs that a full cluster uses: jobs do not fill it to the brim."""

_CLEARLY = 5
"""So many fewer jobs are to be late in another order: the reckoning errs by some, and those that
are late by it come last."""

Tight = Callable[[PlanningJob, int], bool]
"""Whether a job that gets its room then may be late if things take longer."""


@dataclass(frozen=True, slots=True)
class Order:
    """Jobs in the order in which they are to take room.

    First ``urgent`` ones, up to the last that may be late if things take longer; then those that
    have time, which are in neither; at last those that are ``late`` even so.
    """

    urgent: tuple[PlanningJob, ...]
    late: tuple[PlanningJob, ...]


@dataclass(frozen=True, slots=True)
class _Trial:
    """An order; how many of its jobs may be late, and how many are."""

    order: Order
    in_danger: int

    @property
    def score(self) -> tuple[int, int]:
        return self.in_danger, len(self.order.late)


def least_danger(
    by_latest: Sequence[PlanningJob], rooms: Rooms, now: int, cpus: int, tight: Tight
) -> Order | None:
    """The best of some orders for these jobs, given in that of their latest starts.

    Each takes the first room in turn. What that order has is compared with the rule of Moore (1968)
    for one machine of all ``cpus``, with the least work first, and with the widest first; ``None``
    where none of these has clearly fewer late. ``rooms`` stay as they are.
    """
    best = plain = _tried(by_latest, rooms, now, tight)
    if len(plain.order.late) < _CLEARLY:
        return None
    work = {job.key: _work(job) for job in by_latest}
    others = (
        _moore(by_latest, now, _PACKING * max(1, cpus)),
        sorted(by_latest, key=lambda job: work[job.key]),
        sorted(by_latest, key=lambda job: -job.cpus),
    )
    for jobs in others:
        found = _tried(jobs, rooms, now, tight)
        fewer = len(found.order.late) + _CLEARLY <= len(plain.order.late)
        if fewer and found.score < best.score:
            best = found
    return None if best is plain else best.order


def _tried(jobs: Sequence[PlanningJob], rooms: Rooms, now: int, tight: Tight) -> _Trial:
    room = deepcopy(rooms)
    on_time: list[PlanningJob] = []
    late: list[PlanningJob] = []
    urgent = in_danger = 0
    for job in jobs:
        at, place = room.first(job.places, job.floor_at(now))
        if at is None or at > job.bounds.latest_at:
            late.append(job)  # and takes no room from others
            continue
        room.take(place, at)
        on_time.append(job)
        if tight(job, at):
            in_danger += 1
            urgent = len(on_time)
    return _Trial(Order(tuple(on_time[:urgent]), tuple(late)), in_danger + len(late))


def _moore(by_latest: Sequence[PlanningJob], now: int, cpus: float) -> list[PlanningJob]:
    """Last those that had better be late: where one would be, the largest so far is put off."""
    kept: list[tuple[float, int]] = []
    at = float(now)
    late: set[int] = set()
    for number, job in enumerate(by_latest):
        lasts_s = _work(job) / cpus
        if at > job.bounds.latest_at and kept and -kept[0][0] > lasts_s:
            longest_s, other = heapq.heappop(kept)
            at += longest_s
            late.add(other)
        heapq.heappush(kept, (-lasts_s, number))
        at += lasts_s
    on_time = [job for number, job in enumerate(by_latest) if number not in late]
    return on_time + [job for number, job in enumerate(by_latest) if number in late]


def _work(job: PlanningJob) -> float:
    """CPU-seconds, by its mean length."""
    place = job.places[0]
    return place.cpus * place.length.mean_s
