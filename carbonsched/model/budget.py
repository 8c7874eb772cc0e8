"""A job that emits more than its owner gave it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from carbonsched.model.job import JobKey


class BudgetState(StrEnum):
    """How far a run has come with its job's budget. Each step is written down before it is done.

    ``WARNED``: it is expected to need more. ``ENDED``: in its grace by itself, or then by us.
    ``LEFT``: the budget was used up, and yet the run was not ended: it had ended before it was
    told, or somebody requeued it.
    """

    WARNED = "warned"
    SIGNALLING = "signalling"
    SIGNALLED = "signalled"
    ENDING = "ending"
    ENDED = "ended"
    LEFT = "left"


UNDER_WAY = (BudgetState.SIGNALLING, BudgetState.SIGNALLED, BudgetState.ENDING)
"""States in which something is still to be done or seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCase:
    """One run beside its job's budget.

    ``at`` is when its owner was warned or the run told to end, ``changed_at`` when it came so far.
    ``used_mg`` is what all runs of the job had emitted by then, ``predicted_mg`` what it was
    expected to emit in all; ``None`` where that was not known. ``note`` is for people.
    """

    key: JobKey
    at: int
    state: BudgetState
    changed_at: int
    budget_mg: int
    used_mg: int
    predicted_mg: int | None
    note: str = ""

    def __post_init__(self) -> None:
        if self.budget_mg < 1 or self.used_mg < 0:
            raise ValueError(f"the budget of job {self.key} has no sensible masses")
