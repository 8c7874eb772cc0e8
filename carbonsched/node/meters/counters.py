"""What two readings of one device say: a counter's difference, or sampled power over its time.

A reading holds for each device ``NAME.uj`` (a counter in microjoules) or ``NAME.uw`` (power in
microwatts), and ``NAME.at_ns``, when it was read. A device that is not read keeps its old ones, so
that what it counted meanwhile can be told apart from a counter that was reset.
"""

from __future__ import annotations

from dataclasses import dataclass

from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters.meter import DomainEnergy, Reading
from carbonsched.units import NS_PER_S, UJ_PER_J

LATE_NS = NS_PER_S // 2
"""How much later than its ``at_ns`` a counter may really have been read on a busy machine."""
AWAY_NS = NS_PER_S // 10
"""A device whose readings span that much more than the interval was not read at its beginning."""
LONGEST_SAMPLED_NS = 60 * NS_PER_S
"""Power that was not seen for longer says nothing about the time between."""
CERTAIN_SAMPLED_NS = 10 * NS_PER_S
NODE_LIMIT_W = 20_000
"""More than any node draws; beyond it a reading is garbage (ACPI says 4.3 MW for "unknown")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One counter or sensor. ``limit_w`` is more than it can draw; ``range_uj`` where it wraps."""

    domain: Domain
    name: str
    limit_w: int
    range_uj: int | None = None

    @property
    def longest_gap_ns(self) -> int | None:
        """Readings further apart may have a whole round between them; ``None`` without a range."""
        return None if self.range_uj is None else self.range_uj * 1000 // self.limit_w

    def none(self) -> DomainEnergy:
        """It is there, and what it drew is not known."""
        return self.drew(0, Quality.PARTIAL)

    def drew(self, energy_uj: int, quality: Quality) -> DomainEnergy:
        """It drew this much."""
        return DomainEnergy(
            domain=self.domain, device=self.name, energy_uj=energy_uj, quality=quality
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """What two readings of a counter say; ``reset`` when they make no sense together."""

    energy: DomainEnergy | None
    reset: bool = False


def counted(device: Device, before: Reading, after: Reading, length_ns: int) -> Counted:
    """Energy by a cumulative counter.

    Nothing if only the later reading has the device: it begins there. 0 J ``PARTIAL`` if it was not
    read, or if its counter fell or moved by more than the device can draw: it was reset. What a
    device counted while it could not be read comes with its return, as ``PARTIAL``.
    """
    first, begin_ns = before.get(f"{device.name}.uj"), before.get(f"{device.name}.at_ns")
    last, end_ns = after.get(f"{device.name}.uj"), after.get(f"{device.name}.at_ns")
    if first is None or begin_ns is None:
        return Counted(None)
    if last is None or end_ns is None or end_ns <= begin_ns:
        return Counted(device.none())
    elapsed_ns = end_ns - begin_ns
    gap_ns = device.longest_gap_ns
    if gap_ns is not None and elapsed_ns > gap_ns:
        return Counted(device.none())
    used_uj = _difference(first, last, device.range_uj)
    # Microjoules a nanosecond are kilowatts.
    if used_uj is None or used_uj * 1000 > device.limit_w * (elapsed_ns + LATE_NS):
        return Counted(device.none(), reset=True)
    away = elapsed_ns > length_ns + AWAY_NS  # also in samples before this interval
    return Counted(device.drew(used_uj, Quality.PARTIAL if away else Quality.MEASURED))


def sampled(
    device: Device, before: Reading, after: Reading, length_ns: int | None = None
) -> DomainEnergy | None:
    """Energy by sampled power, E = (P1 + P2) / 2 * t (the trapezoid), rounded down.

    ``SAMPLED`` up to ten seconds between samples, ``PARTIAL`` up to a minute, and where it was away
    in samples before this interval of ``length_ns``; beyond a minute 0 J.
    """
    first, begin_ns = before.get(f"{device.name}.uw"), before.get(f"{device.name}.at_ns")
    last, end_ns = after.get(f"{device.name}.uw"), after.get(f"{device.name}.at_ns")
    if first is None or begin_ns is None:
        return None
    if last is None or end_ns is None or not 0 < end_ns - begin_ns <= LONGEST_SAMPLED_NS:
        return device.none()
    if min(first, last) < 0 or max(first, last) > device.limit_w * UJ_PER_J:
        return device.none()
    elapsed_ns = end_ns - begin_ns
    here_ns = elapsed_ns if length_ns is None else length_ns + AWAY_NS
    certain = elapsed_ns <= min(CERTAIN_SAMPLED_NS, here_ns)
    used_uj = (first + last) * elapsed_ns // (2 * NS_PER_S)
    return device.drew(used_uj, Quality.SAMPLED if certain else Quality.PARTIAL)


def _difference(first: int, last: int, range_uj: int | None) -> int | None:
    """Unwrapped once where the counter has a range; ``None`` if that does not explain it."""
    if range_uj is not None and not 0 <= min(first, last) <= max(first, last) <= range_uj:
        return None
    if last >= first:
        return last - first
    return None if range_uj is None else last + range_uj - first
