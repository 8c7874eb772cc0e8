"""``scontrol show job``: one job as slurmctld has it now, also for some minutes after its end."""

from __future__ import annotations

import re

from carbonsched.cluster.values import instant_at
from carbonsched.errors import ClusterError
from carbonsched.ports import Standing

# A line of its own for each, so that nothing is taken from a name or comment beside it.
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

    Raises:
        ClusterError: it is not what scontrol documents.
    """
    state, exits, end = _STATE.search(text), _EXIT.search(text), _END.search(text)
    submitted = _SUBMITTED.search(text)
    submitted_at = instant_at(submitted[1]) if submitted else None
    if state is None or exits is None or end is None or submitted_at is None:
        raise ClusterError("scontrol show job answered something unexpected")
    return Standing(
        state=state[1],
        reason=state[2],
        submitted_at=submitted_at,
        restarts=int(exits[2]),
        requeueable=exits[1] != "0",
        ended_at=instant_at(end[1]) if state[1] in _ENDED else None,
        exit_status=int(exits[3]),
        exit_signal=int(exits[4]),
    )
