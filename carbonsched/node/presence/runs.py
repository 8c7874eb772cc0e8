"""One run of a job on this node: what is known of it, and its part of an interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from carbonsched.model.energy import PartKind
from carbonsched.node.meters.meter import Gpu
from carbonsched.node.presence.events import Event
from carbonsched.node.presence.gpus import resolve
from carbonsched.node.presence.stays import Owner, Stay
from carbonsched.units import NS_PER_S

ENDS_KEPT = 64
ENDS_KEPT_NS = 600 * NS_PER_S
LOST_END_NS = 600 * NS_PER_S
"""A job whose control group was there and has been gone so long is taken to have ended."""
EDGE_NS = 2 * NS_PER_S
"""How far before a run's begin, as its prolog told it, Slurm's record of its end may lie.

The prolog runs after Slurm's start, so only Slurm's whole seconds and the difference of two clocks
that are kept by NTP can put the end first. More would close a run by the end of an earlier one
under its number, and what a run draws after that is lost to it; whereas a run that stays open by
mistake is charged nothing: the daemon counts what lies within Slurm's record, give or take these
two seconds.
"""


@dataclass(slots=True, kw_only=True)
class TrackedJob:
    """One run of a job on this node, as far as the agent knows.

    ``begin_ns`` is ``None`` once the job was there at the end of an interval: it is then present
    in the next one from its start. ``since_ns`` is when it began or was first seen. ``energy_uj``
    is all that was attributed to it so far, ``gained_uj`` what the last interval added.
    ``moved_ns`` is when it last used CPU time, by the steady clock.

    ``cpus`` are the allocated ones as the prolog told, ``cpuset`` those of its control group.
    ``requested`` and ``visible`` are the prolog's words for its GPUs; ``gpus`` is what they mean
    (device: numerator and denominator of the share), ``unknown_gpus`` those that mean nothing, and
    ``gpus_doubtful`` whether they may mean others. ``doubtful`` is a run whose end was not seen,
    ``uncounted`` one on a node where Slurm does not count CPU time by job.
    """

    job_id: int
    restarts: int
    uid: int | None
    cpus: int | None
    announced: bool
    begin_ns: int | None = None
    end_ns: int | None = None
    inode: int | None = None
    cpu_ns: int = 0
    gone_since_ns: int | None = None
    away: bool = False
    energy_uj: int = 0
    gained_uj: int = 0
    since_ns: int = 0
    cpuset: int | None = None
    memory_mb: int | None = None
    suspended: bool = False
    requested: str = ""
    visible: str = ""
    sluid: str = ""
    doubtful: bool = False
    gpus: dict[str, tuple[int, int]] = field(default_factory=dict)
    unknown_gpus: tuple[str, ...] = ()
    gpus_doubtful: bool = False
    uncounted: bool = False
    moved_ns: int | None = None
    owner: Owner = field(init=False)
    """The name under which it is charged."""

    def __post_init__(self) -> None:
        self.owner = Owner(PartKind.JOB, self.job_id, self.restarts)

    @property
    def allocated(self) -> int | None:
        """Its CPUs here, if anything tells."""
        return self.cpus if self.cpus is not None else self.cpuset

    @property
    def certain(self) -> bool:
        """Whether its presence, allocation and work are known rather than seen from outside."""
        known = self.announced and self.allocated is not None
        doubts = self.doubtful or self.uncounted or self.gpus_doubtful or self.unknown_gpus
        return known and not doubts

    @property
    def fading(self) -> bool:
        """Whether it may be over: its control group was there and is gone, and no end was told."""
        return self.gone_since_ns is not None and self.end_ns is None

    def present_ns(self, begin_ns: int, end_ns: int) -> tuple[int, int]:
        """The part of an interval in which it was there; empty if it was not."""
        first = begin_ns if self.begin_ns is None else max(begin_ns, self.begin_ns)
        last = end_ns if self.end_ns is None else min(end_ns, self.end_ns)
        return (begin_ns, begin_ns) if self.away or last < first else (first, last)

    def stay(self, begin_ns: int, end_ns: int, cpu_ns: int, *, suspended: bool) -> Stay:
        """Its part of an interval."""
        first, last = self.present_ns(begin_ns, end_ns)
        return Stay(
            self.owner, self.allocated or 0, first, last, cpu_ns,
            self.memory_mb, self.gpus, suspended, self.fading,
        )  # fmt: skip

    def may_have_ended(self, at_ns: int, steady_ns: int) -> bool:
        """Whether an end in Slurm's record can be this run's.

        One before its begin is an earlier run's. Of a run that no prolog announced only the first
        sight is known: where its control group does nothing for long, it was over before that.
        """
        still = self.moved_ns is not None and steady_ns - self.moved_ns > LOST_END_NS
        return at_ns >= self.since_ns - EDGE_NS or (still and not self.announced)

    def used_cpu(self, used_ns: int, steady_ns: int) -> None:
        """Its CPU time was read; one that was over before it was first seen uses none."""
        if used_ns or self.moved_ns is None:
            self.moved_ns = steady_ns
        over = self.end_ns is not None and self.end_ns < self.since_ns - EDGE_NS
        if used_ns and over and self.doubtful and not self.announced:
            self.end_ns = None

    def find_gpus(self, inventory: tuple[Gpu, ...]) -> None:
        """Tell what the prolog's words mean among the GPUs that are metered here."""
        found = resolve(self.requested, self.visible, inventory)
        self.gpus, self.unknown_gpus = dict(found.shares), found.unknown
        self.gpus_doubtful = found.doubtful

    def shift(self, by_ns: int) -> None:
        """The wall clock was set by so much."""
        self.since_ns += by_ns
        if self.begin_ns is not None:
            self.begin_ns += by_ns
        if self.end_ns is not None:
            self.end_ns += by_ns

    def to_state(self) -> dict[str, Any]:
        """For ``state.json``: the constructor's arguments but those that are as by default.

        What depends on what is seen then, as the meaning of words for GPUs does, is found again.
        """
        return {
            one.name: value
            for one in fields(self)
            if one.name not in _FOUND and (value := getattr(self, one.name)) != one.default
        }


_FOUND = ("gpus", "unknown_gpus", "gpus_doubtful", "uncounted", "moved_ns", "owner")


class Ends:
    """The latest epilogs' words, for begins that come in after them."""

    def __init__(self, ends: Iterable[Iterable[int]] = ()) -> None:
        self._ends: list[tuple[int, int, int]] = [
            (job_id, restarts, at_ns) for job_id, restarts, at_ns in ends
        ]

    def add(self, event: Event) -> None:
        """An epilog's word."""
        kept = self._ends[-(ENDS_KEPT - 1) :]
        self._ends = [*kept, (event.job_id, event.restarts, event.at_ns)]

    def after(self, begin: Event) -> int | None:
        """When a run ended that began then, if that is known."""
        ends = (
            at_ns
            for job_id, restarts, at_ns in self._ends
            if job_id == begin.job_id and restarts >= begin.restarts and at_ns >= begin.at_ns
        )
        return min(ends, default=None)

    def forget_before(self, at_ns: int) -> None:
        """Old ones: a begin is late by seconds."""
        if self._ends and self._ends[0][2] < at_ns:
            self._ends = [end for end in self._ends if end[2] >= at_ns]

    def shift(self, by_ns: int) -> None:
        """The wall clock was set by so much."""
        self._ends = [(job_id, restarts, at_ns + by_ns) for job_id, restarts, at_ns in self._ends]

    def to_state(self) -> list[list[int]]:
        """For ``state.json``: the constructor's argument."""
        return [list(end) for end in self._ends]
