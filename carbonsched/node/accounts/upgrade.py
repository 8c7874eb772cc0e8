"""States that earlier agents left: an upgrade in the middle of a job loses nothing."""

from __future__ import annotations

from typing import Any

from carbonsched.model.energy import Domain, PartKind, Quality
from carbonsched.node.meters.meter import Reading
from carbonsched.node.presence.stays import IDLE

STATE_VERSION = 2


def upgraded(state: dict[str, Any]) -> dict[str, Any]:
    """The state in today's form.

    Version 1 knew one meter and no domains: what its open segments hold becomes energy of the CPUs
    where that was RAPL, else of the node, and its idle power is learned anew, as it was the sum of
    all RAPL zones'.

    Raises:
        ValueError, KeyError, TypeError: it is of no known version, or not whole.
    """
    if state["version"] == STATE_VERSION:
        return state
    if state["version"] != 1:
        raise ValueError(f"it is of version {state['version']!r}, of a later agent")
    measured = state["meter"].startswith("rapl(")
    domain = Domain.CPU if measured else Domain.NODE
    last = state["last"]
    if last is not None:
        wall_ns, steady_ns, counters, node_cpu_ns = last
        meters = {"rapl": _rapl(counters, steady_ns)} if measured else {"model": {}}
        last = [wall_ns, steady_ns, meters, node_cpu_ns]
    return state | {
        "version": STATE_VERSION,
        "last": last,
        "panel": {},
        "statics": {},
        "segments": _segments(state["segments"], domain),
        "epochs": _epochs(state["epochs"], Quality.MEASURED if measured else Quality.MODELLED),
    }


def _rapl(counters: dict[str, int], steady_ns: int) -> Reading:
    """Each zone's counter, and when it was read."""
    reading: Reading = {}
    for label, uj in counters.items():
        reading |= {f"{label}.uj": uj, f"{label}.at_ns": steady_ns}
    return reading


def _segments(book: dict[str, Any], domain: Domain) -> dict[str, Any]:
    carry_uj = int(book["carry_uj"])
    return {
        "floor_at": book["floor_at"],
        "carry": [[*IDLE, domain, carry_uj, 0]] if carry_uj else [],
        "open": [
            {
                "start_at": one["start_at"],
                "end_at": one["end_at"],
                "meter": one["meter"],
                "tallies": [_tally(tally, domain, one["quality"]) for tally in one["tallies"]],
            }
            for one in book["open"]
        ],
    }


def _tally(tally: list[Any], domain: Domain, quality: str) -> list[Any]:
    kind, job_id, restarts, energy_uj, cpu_ns, present_ns, uid = tally
    cells = [[domain, energy_uj, 0, quality]]
    return [PartKind(kind), job_id, restarts, cpu_ns, present_ns, 0, uid, cells]


def _epochs(book: dict[str, Any], quality: Quality) -> dict[str, Any]:
    def epoch(one: dict[str, Any]) -> dict[str, Any]:
        now = {name: value for name, value in one.items() if name != "partial"}
        partial = one["partial"] and quality is Quality.MEASURED
        return now | {"quality": Quality.PARTIAL if partial else quality}

    return book | {"open": [epoch(one) for one in book["open"]]}
