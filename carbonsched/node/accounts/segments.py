"""Open segments: energy collected until the wall clock passes their grid line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from carbonsched.model.energy import Domain, EnergyPart, EnergySegment, PartKind, worst
from carbonsched.node.accounts.tallies import Cell, Tally, tally_of, tally_state
from carbonsched.node.presence.stays import IDLE, NOBODY, Owner
from carbonsched.units import NS_PER_S, UJ_PER_J

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class _Open:
    start_at: int
    end_at: int
    meter: str
    tallies: dict[Owner, Tally] = field(default_factory=dict)


class _Carry:
    """What a cell's whole joules leave goes on to the same cell's next segment.

    Joules are rounded to the nearest, so those of one owner in one domain are never more than half
    a joule from exact, however many segments they are spread over, and thousands of short jobs are
    not all billed a little less than they used. What is left is negative after rounding up.
    """

    def __init__(self) -> None:
        self._left: dict[tuple[Owner, Domain], tuple[int, int]] = {}

    def whole(self, owner: Owner, domain: Domain, cell: Cell) -> tuple[int, int]:
        """Joules of energy and of uncertainty with what was left before; the rest is left."""
        energy_uj, uncertainty_uj = self._left.pop((owner, domain), (0, 0))
        energy_j, left_uj = _nearest(energy_uj + cell.energy_uj)
        uncertainty_j, unsure_uj = _nearest(uncertainty_uj + cell.uncertainty_uj)
        if left_uj or unsure_uj:
            self._left[owner, domain] = (left_uj, unsure_uj)
        return energy_j, uncertainty_j

    def settle(self, present: Collection[Owner]) -> None:
        """What those who are gone have left is nobody's: it goes to idle's cell of the domain."""
        gone = [key for key in self._left if key[0].kind is PartKind.JOB and key[0] not in present]
        for owner, domain in gone:
            energy_uj, uncertainty_uj = self._left.pop((owner, domain))
            before = self._left.get((IDLE, domain), (0, 0))
            self._left[IDLE, domain] = (before[0] + energy_uj, before[1] + uncertainty_uj)

    def due(self) -> list[tuple[Owner, Domain]]:
        """Cells in which whole joules are left, as after many jobs have gone."""
        return [key for key, (energy_uj, _) in self._left.items() if energy_uj >= UJ_PER_J]

    def to_state(self) -> list[list[Any]]:
        """For ``state.json``."""
        return [[*owner, domain, *left] for (owner, domain), left in self._left.items()]

    def load(self, state: list[list[Any]]) -> None:
        """Go on from ``state.json``."""
        self._left = {
            (Owner(PartKind(kind), job_id, restarts), Domain(domain)): (energy_uj, uncertainty_uj)
            for kind, job_id, restarts, domain, energy_uj, uncertainty_uj in state
        }


def _nearest(micro: int) -> tuple[int, int]:
    """The nearest whole number of joules, none below zero, and what it leaves."""
    whole = max(0, (micro + UJ_PER_J // 2) // UJ_PER_J)
    return whole, micro - whole * UJ_PER_J


class SegmentBook:
    """Collects microjoules by owner and domain and closes segments of whole joules.

    ``floor_at`` is the end of the last closed segment: nothing is ever put before it, so segments
    never overlap and a closed one never changes, wherever the clock goes. Until one is closed it is
    when metering began. A segment's meter is what metered when it began.
    """

    def __init__(self, cluster: str, node: str, segment_s: int, floor_at: int) -> None:
        self._cluster = cluster
        self._node = node
        self._segment_s = segment_s
        self._floor_at = floor_at
        self._closed_any = False
        self._carry = _Carry()
        self._open: dict[int, _Open] = {}

    def add(self, at_ns: int, meter: str, more: Mapping[Owner, Tally]) -> None:
        """Put energy and times into the segment of an instant; the tallies become the book's."""
        _put(self._segment(at_ns // NS_PER_S, meter).tallies, more)

    def close_until(self, now_ns: int, present: Collection[Owner]) -> list[EnergySegment]:
        """Close what ends at or before now, oldest first.

        ``present`` are the jobs that may have energy later on.
        """
        due = sorted(start for start, one in self._open.items() if one.end_at * NS_PER_S <= now_ns)
        return self._close([self._open.pop(start) for start in due], present)

    def close_all(self, now_ns: int, present: Collection[Owner]) -> list[EnergySegment]:
        """Close everything, the last segment early at the next whole second.

        A segment that begins only after now, because the one before was closed early in the same
        second or because the clock was set back, stays open.
        """
        next_at = _next_second(now_ns)
        due = [self._open.pop(start) for start in sorted(self._open) if start < next_at]
        for segment in due:
            segment.end_at = min(segment.end_at, next_at)
        closed = self._close(due, present)
        self._follow_grid()
        return closed

    def set_back(self, by_ns: int) -> None:
        """The clock was set back; while nothing is closed, all that there is goes back with it.

        A node's clock may be ahead by hours when it boots. Nobody has been told anything by it yet,
        so nothing is to be kept clear of, and what is open gets its right place.
        """
        if self._closed_any:
            return
        self._floor_at = _next_second(self._floor_at * NS_PER_S - by_ns)
        left = sorted(self._open.items())
        self._open = {}
        for start, one in left:
            at = _next_second(start * NS_PER_S - by_ns)
            _put(self._segment(at, one.meter).tallies, one.tallies)

    def to_state(self) -> dict[str, Any]:
        """For ``state.json``."""
        return {
            "floor_at": self._floor_at,
            "closed_any": self._closed_any,
            "carry": self._carry.to_state(),
            "open": [
                {
                    "start_at": one.start_at,
                    "end_at": one.end_at,
                    "meter": one.meter,
                    "tallies": [tally_state(*each) for each in one.tallies.items()],
                }
                for one in self._open.values()
            ],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``state.json``."""
        self._floor_at = int(state["floor_at"])
        self._closed_any = bool(state.get("closed_any", True))  # earlier agents did not tell
        self._carry.load(state["carry"])
        self._open = {}
        for one in state["open"]:
            tallies = dict(tally_of(entry) for entry in one["tallies"])
            segment = _Open(int(one["start_at"]), int(one["end_at"]), str(one["meter"]), tallies)
            self._open[segment.start_at] = segment

    def _segment(self, at: int, meter: str) -> _Open:
        start_at = max(at - at % self._segment_s, self._floor_at)
        segment = self._open.get(start_at)
        if segment is None:
            segment = self._open[start_at] = _Open(start_at, self._line_after(start_at), meter)
        return segment

    def _follow_grid(self) -> None:
        """What is open may have begun on another grid than today's."""
        left = sorted(self._open.items())
        self._open = {}
        for start, one in left:
            _put(self._segment(start, one.meter).tallies, one.tallies)

    def _line_after(self, at: int) -> int:
        return at - at % self._segment_s + self._segment_s

    def _close(self, due: list[_Open], present: Collection[Owner]) -> list[EnergySegment]:
        if not due:
            return []
        closed = [self._closed(one) for one in due]
        waiting = {owner for one in self._open.values() for owner in one.tallies}
        self._carry.settle(waiting.union(present))
        return closed

    def _closed(self, one: _Open) -> EnergySegment:
        """Whole joules of each cell; what they leave is carried."""
        self._floor_at = max(self._floor_at, one.end_at)
        self._closed_any = True
        self._claim(one)
        length_ms = (one.end_at - one.start_at) * 1000
        owners = sorted(one.tallies)
        parts = [self._part(owner, one.tallies[owner], length_ms) for owner in owners]
        told = [
            part
            for owner, part in zip(owners, parts, strict=True)
            if part.energy_j
            or part.node_ms
            or (owner.kind is PartKind.JOB and one.tallies[owner].tells_something)
        ]
        with_energy = [part for part in told if part.energy_j]
        return EnergySegment(
            cluster=self._cluster,
            node=self._node,
            start_at=one.start_at,
            end_at=one.end_at,
            total_j=sum(part.energy_j for part in parts),
            quality=worst(part.quality for part in with_energy or parts if part.quality),
            meter=one.meter,
            parts=tuple(told),
        )

    def _claim(self, one: _Open) -> None:
        """Make room for whole joules that were left by those who are gone."""
        for owner, domain in self._carry.due():
            tally = one.tallies.setdefault(owner, Tally())
            if domain not in tally.cells:
                cells = [cell for other in one.tallies.values() for cell in other.cells.values()]
                tally.cells[domain] = Cell(0, 0, worst(cell.quality for cell in cells))

    def _part(self, owner: Owner, tally: Tally, length_ms: int) -> EnergyPart:
        domains, uncertainty_j = {}, 0
        for domain in sorted(tally.cells):
            energy_j, unsure_j = self._carry.whole(owner, domain, tally.cells[domain])
            uncertainty_j += unsure_j
            if energy_j:
                domains[domain] = energy_j
        return EnergyPart(
            kind=owner.kind,
            energy_j=sum(domains.values()),
            cpu_ms=tally.cpu_ns // NS_PER_MS,
            # Parts of a second at an early close, and time with the clock set back, come on top.
            present_ms=min(tally.present_ns // NS_PER_MS, length_ms),
            job_id=None if owner.job_id == NOBODY else owner.job_id,
            restarts=None if owner.restarts == NOBODY else owner.restarts,
            uid=tally.uid,
            node_ms=min(tally.node_ns // NS_PER_MS, length_ms),
            quality=worst(cell.quality for cell in tally.cells.values()) if tally.cells else None,
            uncertainty_j=uncertainty_j,
            domains=domains,
        )


def _next_second(at_ns: int) -> int:
    return -(-at_ns // NS_PER_S)


def _put(tallies: dict[Owner, Tally], more: Mapping[Owner, Tally]) -> None:
    for owner, added in more.items():
        tally = tallies.get(owner)
        if tally is None:
            tallies[owner] = added
        else:
            tally.take(added)
