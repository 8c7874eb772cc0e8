"""What was decided on a job after its first epoch."""

from __future__ import annotations

from dataclasses import dataclass

from carbonsched.model.job import JobKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotDecision:
    """Whether a pilot was ``stopped`` after its first epoch, to go on later; ``note`` says why."""

    key: JobKey
    decided_at: int
    stopped: bool
    note: str
