"""What comes next of a stop, by what Slurm says of the job: a pure function."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import StrEnum

from carbonsched.model.stop import TEMPORARY_FAILURE, Stop, StopState
from carbonsched.ports import Standing

OVERDUE_S = 600
"""A job that has run on for so long beyond its grace is let be: it would lose what it did since.

So it is after the daemon has been away for long."""
HELD = "JobHeld"
"""How Slurm's reason begins for a job that somebody holds: requeued, it would not start."""
_BY_SHELL = 128
"""A shell whose command a signal killed exits with this and the signal's number."""


class Step(StrEnum):
    """What to do now."""

    WAIT = "wait"
    SIGNAL = "signal"
    REQUEUE_RUNNING = "requeue-running"
    REQUEUE_ENDED = "requeue-ended"
    DONE = "done"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Next:
    """The step, and why, where the stop comes to nothing."""

    step: Step
    why: str = ""


def why_not(stop: Stop, standing: Standing | None) -> str | None:
    """Why a job cannot be stopped at all, or ``None``."""
    if standing is None:
        return "Slurm does not know it any more"
    if (standing.restarts, standing.submitted_at) != (stop.key.restarts, stop.key.submitted_at):
        return "it has been requeued meanwhile"
    if standing.state != "RUNNING":
        return f"it is {standing.state} now"
    if not standing.requeueable:
        return "it was submitted with --no-requeue, or may not be requeued any more"
    if standing.reason.startswith(HELD):
        return f"it is held ({standing.reason})"
    return None


def next_step(stop: Stop, standing: Standing | None, now: int, grace_s: int, name: str) -> Next:
    """The next step of a stop that is under way; ``name`` is the signal's."""
    if standing is not None and standing.restarts > stop.key.restarts:
        ours = stop.state is StopState.REQUEUEING
        return Next(Step.DONE) if ours else Next(Step.LEAVE, "somebody else has requeued it")
    if standing is not None and standing.state == "COMPLETING":
        return Next(Step.WAIT)
    if standing is not None and standing.ended_at is not None:
        return _ended(standing, name)
    why = why_not(stop, standing)
    return _running(stop, now, grace_s) if why is None else Next(Step.LEAVE, why)


def _ended(standing: Standing, name: str) -> Next:
    """A job that says that it is to go on, or did not know what to do with the signal, goes on."""
    number = signal.Signals[f"SIG{name}"].value
    stopped = standing.exit_status in (TEMPORARY_FAILURE, _BY_SHELL + number)
    if standing.state == "FAILED" and (stopped or standing.exit_signal == number):
        return Next(Step.REQUEUE_ENDED)
    if standing.state == "COMPLETED":
        return Next(Step.LEAVE, "it has finished")
    ended = f"{standing.state}, exit status {standing.exit_status}"
    return Next(Step.LEAVE, f"it has ended by itself ({ended}), which is its own affair")


def _running(stop: Stop, now: int, grace_s: int) -> Next:
    due_at = stop.at + grace_s
    if now > due_at + OVERDUE_S:
        return Next(Step.LEAVE, "its checkpoint is too old by now")
    if stop.state is StopState.SIGNALLING:
        return Next(Step.SIGNAL)
    return Next(Step.WAIT if now < due_at else Step.REQUEUE_RUNNING)
