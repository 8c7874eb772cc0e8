"""``scontrol show reservation -o``: nodes that are kept for somebody or something, one a line."""

from __future__ import annotations

import re

from carbonsched.cluster.values import instant_at, whole
from carbonsched.errors import ClusterError
from carbonsched.model.hostlist import expand
from carbonsched.ports import Reservation

_FIRST = "ReservationName="
_FIELD = re.compile(r" (StartTime|EndTime|Nodes|Flags|TRES)=(\S*)")
_CPUS = re.compile(r"(?:^|,)cpu=([0-9]+)")
_MOVES_ON = "TIME_FLOAT"  # always so far ahead of now: it never begins, and is there for limits
_EVERY_S = {"HOURLY": 3600, "DAILY": 86_400, "WEEKLY": 7 * 86_400}
_NONE = "(null)"


def read_reservations(text: str) -> list[Reservation]:
    """The reservations of nodes, in Slurm's order; those of licences alone are left out.

    Raises:
        ClusterError: it is not what was asked for.
    """
    lines = [line for line in text.splitlines() if line.startswith(_FIRST)]
    found = (_read(line) for line in lines)
    return [one for one in found if one is not None]


def _read(line: str) -> Reservation | None:
    fields = dict(_FIELD.findall(line))  # the last ones, for the name comes first
    start_at, end_at = (instant_at(fields.get(one, "")) for one in ("StartTime", "EndTime"))
    flags = set(re.split(r"[,+]", fields.get("Flags", "")))
    listed = fields.get("Nodes", "")
    if not listed or listed == _NONE or _MOVES_ON in flags:
        return None
    if start_at is None or end_at is None:
        raise ClusterError(f"scontrol answered something unexpected: {line!r}")
    try:
        nodes = tuple(expand(listed))
    except ValueError as error:
        raise ClusterError(f"scontrol tells nodes that cannot be read: {error}") from None
    cpus = _CPUS.search(fields.get("TRES", ""))
    return Reservation(
        start_at=start_at,
        end_at=end_at,
        nodes=nodes,
        cpus=whole(cpus[1]) if cpus else None,
        every_s=next((every_s for name, every_s in _EVERY_S.items() if name in flags), None),
    )
