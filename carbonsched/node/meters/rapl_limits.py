"""How much a RAPL zone can draw: it bounds differences, and the time between two readings."""

from __future__ import annotations

import re
from collections.abc import Iterable

from carbonsched.node.meters.sysfs import OpenFile, names_in
from carbonsched.units import UJ_PER_J

PACKAGE_LIMIT_W = 750
"""More than any package draws: the largest are rated at 500 W and go beyond it for moments."""

_CONSTRAINT = re.compile(r"constraint_[0-9]+_(?:power_limit|max_power)_uw")
_PACKAGE = re.compile(r"package-([0-9]+)")


def packages_in(labels: Iterable[str]) -> int:
    """How many packages zones of these names are of; dies of one package are one."""
    found = {match[1] for label in labels if (match := _PACKAGE.match(label))}
    return max(1, len(found))


def zone_limit_w(folder: str, max_w: float | None, packages: int) -> int:
    """Watts beyond what a package, or the memory of one, can draw.

    ``max_w``, what is declared of the whole node, counts where it is more than any package is known
    to draw: a package has no more than its share of it, nor more than its own highest limit.
    """
    if max_w is None or max_w <= PACKAGE_LIMIT_W:
        return PACKAGE_LIMIT_W
    most_w = max_w / packages
    told_w = _told_w(folder)
    if told_w is not None:
        most_w = min(most_w, told_w)
    return round(max(most_w, PACKAGE_LIMIT_W))


def _told_w(folder: str) -> float | None:
    """The highest of the zone's own limits; one that is not set is 0, and tells nothing."""
    limits = [
        _number(f"{folder}/{name}") for name in names_in(folder) if _CONSTRAINT.fullmatch(name)
    ]
    return max(limits, default=0) / UJ_PER_J or None


def _number(path: str) -> int:
    file = OpenFile(path)
    try:
        return file.number()
    except (OSError, ValueError):
        return 0
    finally:
        file.close()
