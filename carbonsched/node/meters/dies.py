"""Dies of one package that show the same counter.

Linux shows a zone for each die of a package (``package-0-die-0``, ``package-0-die-1``). On some
processors each die counts its own energy; on others (AMD's first Threadripper and EPYC) all of them
show the package's counter, and adding them would count it several times. The readings tell: every
die is read, then every die again. If two show one counter, the second's value lies between the two
values of the first. It is judged anew for each interval, from both of its readings, so a reading
that went wrong spoils no other interval.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from carbonsched.node.meters.counters import Device
from carbonsched.node.meters.meter import Reading

TICK_UJ = 1_000_000
"""Two views of one counter may differ by an update of it, which comes each millisecond."""

_DIE = re.compile(r"(package-[0-9]+)-die-[0-9]+( dram)?")


def is_die(label: str) -> bool:
    """Whether a zone is that of a die, or of its memory."""
    return _DIE.fullmatch(label) is not None


def twins(devices: Mapping[str, Device], before: Reading, after: Reading) -> dict[str, str]:
    """Zones not to be counted in an interval, each with the one that is counted in its place."""
    groups: dict[tuple[str, str | None], list[list[Device]]] = {}
    for label, device in devices.items():
        match = _DIE.fullmatch(label)
        if match is None:
            continue
        clusters = groups.setdefault((match[1], match[2]), [])
        for cluster in clusters:
            if _one_counter(cluster[0], device, before, after):
                cluster.append(device)
                break
        else:
            clusters.append([device])
    answer: dict[str, str] = {}
    for clusters in groups.values():
        for cluster in clusters:
            counts = _best_seen(cluster, before, after).name
            answer |= {one.name: counts for one in cluster if one.name != counts}
    return answer


def _one_counter(one: Device, other: Device, before: Reading, after: Reading) -> bool:
    """Neither reading contradicts it, and at least one of them shows it."""
    seen = {_agree(one, other, before), _agree(one, other, after)}
    return True in seen and False not in seen


def _agree(one: Device, other: Device, reading: Reading) -> bool | None:
    """Whether two dies show one counter; ``None`` if they were not read together."""
    first, again = reading.get(f"{one.name}.uj"), reading.get(f"{one.name}.again")
    between = reading.get(f"{other.name}.uj")
    together = reading.get(f"{one.name}.at_ns") == reading.get(f"{other.name}.at_ns")
    if first is None or again is None or between is None or not together:
        return None
    range_uj = one.range_uj
    if range_uj is None or range_uj != other.range_uj:
        return False
    ahead_uj = (between - first) % range_uj
    window_uj = (again - first) % range_uj + TICK_UJ
    return ahead_uj <= window_uj or range_uj - ahead_uj <= TICK_UJ


def _best_seen(cluster: list[Device], before: Reading, after: Reading) -> Device:
    """The one whose readings span just this interval: after an absence the others hold more."""
    there = [one for one in cluster if f"{one.name}.uj" in after]
    return max(there or cluster, key=lambda one: before.get(f"{one.name}.at_ns", -1))
