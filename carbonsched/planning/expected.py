"""Jobs that nobody has submitted yet, as the planner reckons with them: one for each hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from carbonsched.model.spread import Spread
from carbonsched.planning.request import Expected, Place

_HOUR_S = 3600
_WAITS = 15, 16
"""The share of its delay that a job to come has: the rest is for the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What the jobs of a site are like: how long, how hungry, and for how long they may wait."""

    length: Spread
    watts_per_cpu: float
    delay_s: float


def expected_by_hour(
    now: int, work_cpu_s: Iterable[float], usual: Usual, clusters: Sequence[str]
) -> tuple[Expected, ...]:
    """As many of the usual ones as there is work in each of the hours to come, in CPU seconds.

    Those that come in an hour come in its middle, and may go to any of the ``clusters``.
    """
    found = []
    for hour, cpu_s in enumerate(work_cpu_s):
        if cpu_s <= 0:
            continue
        place_on = [
            Place(
                cluster=name,
                cpus=cpu_s / usual.length.mean_s,
                watts=usual.watts_per_cpu * cpu_s / usual.length.mean_s,
                length=usual.length,
            )
            for name in clusters
        ]
        begins_at = now + hour * _HOUR_S
        found.append(
            Expected(
                places=tuple(place_on),
                first_at=begins_at + _HOUR_S // 2,
                last_at=begins_at + max(_HOUR_S, last_wait_s(usual.delay_s)),
            )
        )
    return tuple(found)


def last_wait_s(delay_s: float) -> int:
    """How long a job that is expected may be put off, of the delay that it will allow."""
    of, parts = _WAITS
    return int(delay_s * of // parts)
