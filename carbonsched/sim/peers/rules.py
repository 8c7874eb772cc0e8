"""When each peer would start a job, as a function of what is known on its arrival.

They are written from the published descriptions. All decide once and know nothing of other jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from carbonsched.sim.peers.outlook import Outlook
from carbonsched.sim.scenario import SimJob

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday
_WORKDAYS = 5
_OPENS_S, _CLOSES_S = 9 * _HOUR_S, 17 * _HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A job at its submission, ``now``.

    ``expected_s`` is the mean run time of the jobs of its class that have ended, what it requested
    before the first has. ``utc_offset_s`` is added to UTC for the site's clock.
    """

    job: SimJob
    now: int
    expected_s: int
    utc_offset_s: int = 0

    @property
    def latest_at(self) -> int:
        """The last start that the job allows."""
        return self.now + self.job.max_delay_s


Rule = Callable[[Outlook, Arrival], int]


def cats(outlook: Outlook, arrival: Arrival) -> int:
    """Least mean of the interpolated forecast over the requested time, each step of the forecast.

    Climate-Aware Task Scheduler, <https://github.com/GreenScheduler/cats>.
    """
    starts = range(arrival.now, arrival.latest_at + 1, outlook.step_s)
    requested_s = arrival.job.requested_s
    return min(starts, key=lambda at: outlook.interpolated(at, at + requested_s))


def lowest_window(outlook: Outlook, arrival: Arrival) -> int:
    """Least sum over the expected run time, each hour.

    Lowest-Window of GAIA (Hanafy et al., "Going Green for Less Green", ASPLOS 2024).
    """
    starts = range(arrival.now, arrival.latest_at + 1, _HOUR_S)
    return min(starts, key=lambda at: outlook.level(at, at + arrival.expected_s))


def carbon_time(outlook: Outlook, arrival: Arrival) -> int:
    """Most saved against a start at once for each second until the expected end, each hour.

    Carbon-Time of GAIA.
    """
    now, expected_s = arrival.now, arrival.expected_s
    at_once = outlook.level(now, now + expected_s)

    def worth(at: int) -> float:
        return (at_once - outlook.level(at, at + expected_s)) / (at - now + expected_s)

    return max(range(now, arrival.latest_at + 1, _HOUR_S), key=worth)


def wait_awhile(outlook: Outlook, arrival: Arrival) -> int:
    """Least sum with the requested end by the next workday at 9:00, each half-hour.

    A job that would end in working hours (9 to 17, Monday to Friday) starts at once. Next workday,
    not interrupted, of "Let's Wait Awhile" (Wiesner et al., Middleware 2021).
    """
    requested_s = arrival.job.requested_s
    end_at = arrival.now + requested_s
    clock = end_at + arrival.utc_offset_s
    if _is_workday(clock // _DAY_S) and _OPENS_S <= clock % _DAY_S < _CLOSES_S:
        return arrival.now
    due_at = _next_opening(clock) - arrival.utc_offset_s
    last_at = min(arrival.latest_at, due_at - requested_s)
    starts = range(arrival.now, last_at + 1, _HOUR_S // 2)
    return min(starts, key=lambda at: outlook.level(at, at + requested_s))


def _is_workday(day: int) -> bool:
    return (day + _EPOCH_WEEKDAY) % 7 < _WORKDAYS


def _next_opening(clock: int) -> int:
    """The first opening of a workday from ``clock`` on."""
    day = clock // _DAY_S
    while not _is_workday(day) or day * _DAY_S + _OPENS_S < clock:
        day += 1
    return day * _DAY_S + _OPENS_S


RULES: Mapping[str, Rule] = {
    "cats": cats,
    "lowest-window": lowest_window,
    "carbon-time": carbon_time,
    "wait-awhile": wait_awhile,
}
