"""Slurm's job states, their short forms and tints."""

from __future__ import annotations

_SHORT = {
    "BOOT_FAIL": "BF",
    "CANCELLED": "CA",
    "COMPLETED": "CD",
    "COMPLETING": "CG",
    "CONFIGURING": "CF",
    "DEADLINE": "DL",
    "FAILED": "F",
    "NODE_FAIL": "NF",
    "OUT_OF_MEMORY": "OOM",
    "PENDING": "PD",
    "PREEMPTED": "PR",
    "REQUEUED": "RQ",
    "REQUEUE_FED": "RF",
    "REQUEUE_HOLD": "RH",
    "RESIZING": "RS",
    "REVOKED": "RV",
    "RUNNING": "R",
    "SIGNALING": "SI",
    "SPECIAL_EXIT": "SE",
    "STAGE_OUT": "SO",
    "STOPPED": "ST",
    "SUSPENDED": "S",
    "TIMEOUT": "TO",
}
_GOOD = frozenset({"RUNNING", "COMPLETED"})
_BAD = frozenset({"BOOT_FAIL", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"})


def base(state: str) -> str:
    """The state without what follows it: ``CANCELLED by 1000`` is ``CANCELLED``."""
    return state.split(" ", 1)[0].rstrip("+")


def short(state: str) -> str:
    """The form that squeue prints: ``PD``, ``R``."""
    return _SHORT.get(base(state), base(state)[:2])


def long(word: str) -> str | None:
    """The state that a word names, in either form and any case; ``None`` where it names none."""
    upper = word.upper()
    if upper in _SHORT:
        return upper
    return next((state for state, code in _SHORT.items() if code == upper), None)


def tint(state: str) -> str:
    """Green for going well, red for gone wrong."""
    if base(state) in _GOOD:
        return "green"
    return "red" if base(state) in _BAD else ""
