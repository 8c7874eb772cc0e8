"""Between which instants a job may start, from what its owner and its site allow."""

from __future__ import annotations

from dataclasses import dataclass

from carbonsched.model.directives import Directives
from carbonsched.model.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayPolicy:
    """What the site allows: the delay where the owner names none, the cap on any delay.

    ``safety_margin_s`` is kept free before a deadline, for whatever the queue adds.
    """

    default_max_delay_s: int
    max_delay_s: int
    safety_margin_s: int = 0

    def __post_init__(self) -> None:
        if min(self.default_max_delay_s, self.max_delay_s, self.safety_margin_s) < 0:
            raise ValueError("delays and margins are not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A start may be chosen in ``[earliest_at, latest_at]``; ``why`` says what set the limit.

    Where ``deferrable`` is false the job starts as soon as ``earliest_at`` allows.
    """

    earliest_at: int
    latest_at: int
    deferrable: bool
    why: str

    def __post_init__(self) -> None:
        if self.latest_at < self.earliest_at:
            raise ValueError("the latest start lies before the earliest")


def bounds(
    job: Job, directives: Directives, policy: DelayPolicy, now: int, begin_at: int | None = None
) -> Bounds:
    """The bounds of one job's start.

    Latest is the smaller of submission + min(owner's delay, site's cap) and deadline - time limit
    - margin. ``begin_at`` is the owner's own ``--begin``; it moves the earliest start, never the
    latest. Slurm's own deadline of the job counts as the owner's does.
    """
    submitted_at = job.key.submitted_at
    earliest_at = max(submitted_at, begin_at or submitted_at)
    fixed = _why_fixed(job, directives)
    if fixed is not None:
        return Bounds(earliest_at=earliest_at, latest_at=earliest_at, deferrable=False, why=fixed)
    latest_at, why = _by_delay(submitted_at, directives, policy)
    deadline_at = _deadline(job, directives)
    if deadline_at is not None and job.time_limit_s is not None:
        last_start_at = deadline_at - job.time_limit_s - policy.safety_margin_s
        if last_start_at < latest_at:
            latest_at, why = last_start_at, "its deadline"
    if latest_at <= max(earliest_at, now):
        return Bounds(
            earliest_at=earliest_at,
            latest_at=max(earliest_at, latest_at),
            deferrable=False,
            why=f"{why} leaves no time to wait",
        )
    return Bounds(earliest_at=earliest_at, latest_at=latest_at, deferrable=True, why=why)


def _why_fixed(job: Job, directives: Directives) -> str | None:
    """Why the start may not be moved at all, or ``None``."""
    if not job.pending:
        return "it no longer waits"
    if directives.start_now:
        return "its owner asked for an immediate start"
    if directives.pilot:
        return "it is a pilot, whose first epoch comes at once"
    if _deadline(job, directives) is not None and job.time_limit_s is None:
        return "it has a deadline but no time limit"
    return None


def _by_delay(submitted_at: int, directives: Directives, policy: DelayPolicy) -> tuple[int, str]:
    asked_s, why = directives.max_delay_s, "its owner's maximum delay"
    if asked_s is None:
        asked_s, why = policy.default_max_delay_s, "the site's default delay"
    if policy.max_delay_s < asked_s:
        asked_s, why = policy.max_delay_s, "the site's maximum delay"
    return submitted_at + asked_s, why


def _deadline(job: Job, directives: Directives) -> int | None:
    known = [at for at in (directives.deadline_at, job.deadline_at) if at is not None]
    return min(known, default=None)
