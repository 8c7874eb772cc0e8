"""Open segments: energy collected until the wall clock passes their grid line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from carbonsched.model.energy import EnergyPart, EnergySegment, PartKind, Quality
from carbonsched.node.attribution import NOBODY, Owner
from carbonsched.units import NS_PER_S, UJ_PER_J, apportion

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Tally:
    """What one owner has in a segment so far."""

    energy_uj: int = 0
    cpu_ns: int = 0
    present_ns: int = 0
    uid: int | None = None


@dataclass(slots=True)
class _Open:
    start_at: int
    end_at: int
    meter: str
    quality: Quality
    tallies: dict[Owner, Tally] = field(default_factory=dict)


class SegmentBook:
    """Collects microjoules by owner and closes segments of whole joules.

    ``floor_at`` is the end of the last closed segment: nothing is ever put before it, so segments
    never overlap and a closed one never changes, wherever the clock goes.
    """

    def __init__(self, cluster: str, node: str, segment_s: int, floor_at: int) -> None:
        self._cluster = cluster
        self._node = node
        self._segment_s = segment_s
        self._floor_at = floor_at
        self._carry_uj = 0
        self._open: dict[int, _Open] = {}

    def add(
        self,
        at_ns: int,
        meter: str,
        quality: Quality,
        more: Mapping[Owner, Tally],
    ) -> None:
        """Put energy and times into the segment of an instant."""
        segment = self._segment(at_ns // NS_PER_S, meter, quality)
        if segment.quality is Quality.MEASURED:
            segment.quality = quality
        for owner, added in more.items():
            tally = segment.tallies.setdefault(owner, Tally())
            tally.energy_uj += added.energy_uj
            tally.cpu_ns += added.cpu_ns
            tally.present_ns += added.present_ns
            tally.uid = tally.uid if added.uid is None else added.uid

    def close_until(self, now_ns: int) -> list[EnergySegment]:
        """Close what ends at or before now, oldest first."""
        due = sorted(start for start, one in self._open.items() if one.end_at * NS_PER_S <= now_ns)
        return [self._close(self._open.pop(start)) for start in due]

    def close_all(self, now_ns: int) -> list[EnergySegment]:
        """Close everything, the last segment early at the next whole second.

        A segment that begins only after now, because the one before was closed early in the same
        second, stays open.
        """
        next_at = -(-now_ns // NS_PER_S)
        closed = []
        for start in sorted(self._open):
            if start < next_at:
                segment = self._open.pop(start)
                segment.end_at = min(segment.end_at, next_at)
                closed.append(self._close(segment))
        return closed

    def to_state(self) -> dict[str, Any]:
        """For ``state.json``."""
        return {
            "floor_at": self._floor_at,
            "carry_uj": self._carry_uj,
            "open": [
                {
                    "start_at": one.start_at,
                    "end_at": one.end_at,
                    "meter": one.meter,
                    "quality": one.quality,
                    "tallies": [
                        [*owner, tally.energy_uj, tally.cpu_ns, tally.present_ns, tally.uid]
                        for owner, tally in one.tallies.items()
                    ],
                }
                for one in self._open.values()
            ],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``state.json``."""
        self._floor_at = int(state["floor_at"])
        self._carry_uj = int(state["carry_uj"])
        self._open = {}
        for one in state["open"]:
            tallies = {
                Owner(PartKind(kind), job_id, restarts): Tally(energy_uj, cpu_ns, present_ns, uid)
                for kind, job_id, restarts, energy_uj, cpu_ns, present_ns, uid in one["tallies"]
            }
            segment = _Open(
                one["start_at"], one["end_at"], one["meter"], Quality(one["quality"]), tallies
            )
            self._open[segment.start_at] = segment

    def _segment(self, at: int, meter: str, quality: Quality) -> _Open:
        start_at = max(at - at % self._segment_s, self._floor_at)
        segment = self._open.get(start_at)
        if segment is None:
            end_at = start_at - start_at % self._segment_s + self._segment_s
            segment = self._open[start_at] = _Open(start_at, end_at, meter, quality)
        return segment

    def _close(self, one: _Open) -> EnergySegment:
        """Whole joules of the total; what is less than one goes on to the next segment."""
        self._floor_at = max(self._floor_at, one.end_at)
        energies = {owner: tally.energy_uj for owner, tally in one.tallies.items()}
        exact_uj = sum(energies.values())
        joules = dict.fromkeys(energies, 0)
        if exact_uj:
            total_j, self._carry_uj = divmod(exact_uj + self._carry_uj, UJ_PER_J)
            joules = apportion(total_j, energies)
        return EnergySegment(
            cluster=self._cluster,
            node=self._node,
            start_at=one.start_at,
            end_at=one.end_at,
            total_j=sum(joules.values()),
            quality=one.quality,
            meter=one.meter,
            parts=tuple(
                _part(owner, joules[owner], one.tallies[owner], (one.end_at - one.start_at) * 1000)
                for owner in sorted(one.tallies)
                if owner.kind is PartKind.JOB or joules[owner]
            ),
        )


def _part(owner: Owner, energy_j: int, tally: Tally, length_ms: int) -> EnergyPart:
    return EnergyPart(
        kind=owner.kind,
        energy_j=energy_j,
        cpu_ms=tally.cpu_ns // NS_PER_MS,
        # Parts of a second at an early close, and time with the clock set back, come on top.
        present_ms=min(tally.present_ns // NS_PER_MS, length_ms),
        job_id=None if owner.job_id == NOBODY else owner.job_id,
        restarts=None if owner.restarts == NOBODY else owner.restarts,
        uid=tally.uid,
    )
