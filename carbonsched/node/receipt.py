"""Reads what the daemon answers to readings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from carbonsched.errors import DaemonError

Ended = tuple[int, int, int]
"""Job id, restart count, and when it ended by Slurm's record, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a reading was refused; ``retry`` says that it may be taken later."""

    error: str
    retry: bool


Refusals = dict[tuple[str, int], Refusal]
"""By list and index in the request."""


def refusals(answer: Any) -> Refusals:
    """Which items the daemon refused; one of before ``retry`` was told refuses them for good.

    Raises:
        DaemonError: that is not an answer to readings.
    """
    try:
        refused = {
            (str(one["list"]), int(one["index"])): Refusal(
                str(one["error"]), one.get("retry") is True
            )
            for one in answer["refused"]
        }
        int(answer["accepted"])
    except (AttributeError, TypeError, KeyError, ValueError):
        raise DaemonError(
            "the daemon's answer to readings is not one: are versions equal?"
        ) from None
    return refused


def ended_runs(answer: dict[str, Any]) -> list[Ended]:
    """Runs that are over; daemons of before that was asked do not tell.

    Raises:
        DaemonError: that is not an answer about ended jobs.
    """
    try:
        return [
            (int(job_id), int(restarts), int(ended_at))
            for job_id, restarts, ended_at in answer.get("ended", ())
        ]
    except (TypeError, ValueError):
        raise DaemonError(
            "the daemon's answer about ended jobs is not one: are versions equal?"
        ) from None
