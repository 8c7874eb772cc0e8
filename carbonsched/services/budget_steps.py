"""What comes next of a run whose job's budget is used up: a pure function."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from carbonsched.model.budget import BudgetCase, BudgetState
from carbonsched.ports import Standing


class EndStep(StrEnum):
    """What to do now."""

    WAIT = "wait"
    SIGNAL = "signal"
    CANCEL = "cancel"
    DONE = "done"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class NextEnd:
    """The step, and why, where the run was not ended by us."""

    step: EndStep
    why: str = ""


def next_end(case: BudgetCase, standing: Standing | None, now: int, grace_s: int) -> NextEnd:
    """The next step of a run that is being ended.

    However late we come: more than its budget a job does not get, whoever was away meanwhile.
    """
    if standing is None:
        return _gone(case, "Slurm does not know it any more")
    if (standing.restarts, standing.submitted_at) != (case.key.restarts, case.key.submitted_at):
        return NextEnd(EndStep.LEAVE, "it has been requeued, and its next run is looked at")
    if standing.state == "COMPLETING":
        return NextEnd(EndStep.WAIT)
    if standing.ended_at is not None:
        return _gone(case, f"it has ended by itself ({standing.state})")
    if standing.state != "PENDING" and case.state is BudgetState.SIGNALLING:
        return NextEnd(EndStep.SIGNAL)
    in_grace = case.state is BudgetState.SIGNALLED and now < case.at + grace_s
    return NextEnd(EndStep.WAIT if in_grace else EndStep.CANCEL)


def _gone(case: BudgetCase, why: str) -> NextEnd:
    told = case.state in (BudgetState.SIGNALLED, BudgetState.ENDING)
    return NextEnd(EndStep.DONE if told else EndStep.LEAVE, why)
