"""A run that is stopped so that its job goes on in a cleaner window."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from carbonsched.model.job import JobKey

TEMPORARY_FAILURE = 75
"""``EX_TEMPFAIL``: by this exit status a job says that it wrote its checkpoint and is to go on."""


class StopState(StrEnum):
    """How far a stop has come. Each step is written down before it is done.

    ``LEFT``: it came to nothing, and that run is never stopped again.
    """

    SIGNALLING = "signalling"
    SIGNALLED = "signalled"
    REQUEUEING = "requeueing"
    REQUEUED = "requeued"
    LEFT = "left"

    @property
    def under_way(self) -> bool:
        """Whether something is still to be done or seen."""
        return self not in (StopState.REQUEUED, StopState.LEFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One run's stop; ``at`` is when its job was told, ``changed_at`` when it came so far.

    ``first_submitted_at`` is the job's first submission, ``done_s`` what of its work is done by
    then, ``left_s`` what was expected to be left, ``cost_s`` how much longer it was reckoned to run
    for the stop; ``None`` in rows from before that was kept. ``note`` says how it went, for people.
    """

    key: JobKey
    at: int
    state: StopState
    changed_at: int
    first_submitted_at: int
    done_s: int
    left_s: int
    note: str = ""
    cost_s: int | None = None

    def __post_init__(self) -> None:
        if self.done_s < 0 or self.left_s < 1 or (self.cost_s or 0) < 0:
            raise ValueError(f"the stop of job {self.key} has no sensible lengths")

    def cost_or(self, usual_s: int) -> int:
        """Seconds that this stop costs, ``usual_s`` where that was not kept."""
        return usual_s if self.cost_s is None else self.cost_s
