"""``scontrol show job``: one job as slurmctld has it now, also for some minutes after its end."""

from __future__ import annotations

import re

from carbonsched.cluster.values import instant_at
from carbonsched.errors import ClusterError
from carbonsched.ports import Standing

_STATE = re.compile(r"^ +JobState=(\S+) Reason=(\S+) Dependency=", re.MULTILINE)
_EXIT = re.compile(
    r"^ +Requeue=(\d+) Restarts=(\d+) BatchFlag=\d+ Reboot=\d+ ExitCode=(\d+):(\d+)", re.MULTILINE
)
_SUBMITTED = re.compile(r"^ +SubmitTime=(\S+) EligibleTime=", re.MULTILINE)
_END = re.compile(r"^ +StartTime=\S+ EndTime=(\S+) Deadline=", re.MULTILINE)
_ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
        *("NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"),
    }
)


def read_standing(text: str) -> Standing:
    """The job of the answer.

    A name or comment with a newline may hold a line that looks like Slurm's own. It cannot take
    that one away, so of two nothing is believed: an end decides what is charged.

    Raises:
        ClusterError: it is not what scontrol documents, or holds a line twice.
    """
    state, reason = _only(_STATE, text)
    requeue, restarts, status, by_signal = _only(_EXIT, text)
    (submitted,), (end,) = _only(_SUBMITTED, text), _only(_END, text)
    submitted_at = instant_at(submitted)
    if submitted_at is None:
        raise ClusterError(f"scontrol show job tells a submission at {submitted}")
    return Standing(
        state=state,
        reason=reason,
        submitted_at=submitted_at,
        restarts=int(restarts),
        requeueable=requeue != "0",
        ended_at=instant_at(end) if state in _ENDED else None,
        exit_status=int(status),
        exit_signal=int(by_signal),
    )


def _only(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    found = list(pattern.finditer(text))
    if len(found) != 1:
        raise ClusterError(f"scontrol show job has {len(found)} lines of a kind where one belongs")
    return found[0].groups()
