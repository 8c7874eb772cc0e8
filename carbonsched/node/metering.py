"""The agent's heart: from one observation to the next, every microjoule gets its owner.

It does no input or output of its own: observations come in, closed segments and epochs go out, and
``to_state`` is all that it knows. See docs/explanation/metering.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carbonsched.model.energy import EnergySegment, EpochRecord, Quality
from carbonsched.node.attribution import Energy, Owner, divide
from carbonsched.node.cgroups import CpuReading
from carbonsched.node.epoch_book import EpochBook, Mark
from carbonsched.node.events import Event
from carbonsched.node.intervals import Piece, Stay, cut
from carbonsched.node.jobs import JobTable, TrackedJob
from carbonsched.node.journal import Journal
from carbonsched.node.meters import Meter
from carbonsched.node.segments import SegmentBook, Tally
from carbonsched.units import NS_PER_S

STATE_VERSION = 1
LATEST_MARK_NS = 2 * NS_PER_S
"""A mark that says it was sent longer ago than this has a wrong clock: it counts as sent now."""
CLOCK_JUMP_NS = 2 * NS_PER_S
"""Wall and steady time further apart than this between two samples: somebody set the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that one sample saw; counters and CPU times are cumulative."""

    wall_ns: int
    steady_ns: int
    counters: Mapping[str, int]
    readings: tuple[CpuReading, ...]
    events: tuple[Event, ...]
    node_cpu_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What does not change while the agent runs."""

    cluster: str
    node: str
    boot_id: str
    cpus: int
    sample_s: float
    segment_s: int


@dataclass(slots=True)
class _Last:
    """Where the last sample left off."""

    wall_ns: int
    steady_ns: int
    counters: dict[str, int]
    node_cpu_ns: int | None


class Metering:
    """One node's accounts."""

    def __init__(
        self, settings: NodeSettings, meter: Meter, journal: Journal, wall_ns: int
    ) -> None:
        self._settings = settings
        self._meter = meter
        self._journal = journal
        self._jobs = JobTable(journal)
        self._epochs = EpochBook(settings.cluster, settings.node)
        floor_at = -(-wall_ns // NS_PER_S)
        self._segments = SegmentBook(settings.cluster, settings.node, settings.segment_s, floor_at)
        self._last: _Last | None = None
        self._restored = False
        self._lowest_uw: int | None = None
        self._interval_began_ns = wall_ns
        self.closed: list[EnergySegment | EpochRecord] = []

    @property
    def jobs(self) -> JobTable:
        """The jobs on the node."""
        return self._jobs

    def advance(self, seen: Observation) -> bool:
        """Account for the time since the last observation; ``False`` if none has passed.

        Raises:
            MeterError: the counters cannot be compared with the last ones; nothing has changed.
        """
        last = self._last
        if last is None or seen.steady_ns - last.steady_ns > self._meter.longest_gap_ns:
            self._begin_anew(seen)
        elif seen.steady_ns > last.steady_ns:
            self._account(last, seen)
        else:
            return False
        self._last = _Last(seen.wall_ns, seen.steady_ns, dict(seen.counters), seen.node_cpu_ns)
        self._restored = False
        self._epochs.keep((job.job_id, job.restarts) for job in self._jobs)
        self.closed += self._segments.close_until(seen.wall_ns)
        return True

    def mark(self, job: TrackedJob, uid: int, mark: Mark) -> None:
        """A job marks an epoch; a sample has just been taken for it.

        The mark was sent a little earlier, so its energy is read between the last two samples.
        """
        if self._last is None:
            return
        at_ns, energy_uj = self._at_mark(job, mark.at_ns, self._last.wall_ns)
        record = self._epochs.mark(
            (job.job_id, job.restarts),
            uid,
            mark,
            at_ns,
            energy_uj,
            self._meter.quality,
        )
        if record is not None:
            self.closed.append(record)

    def _at_mark(self, job: TrackedJob, at_ns: int | None, now_ns: int) -> tuple[int, int]:
        """When a mark was sent and what its job had used by then."""
        length_ns = now_ns - self._interval_began_ns
        if at_ns is None or not length_ns > 0 or not 0 <= now_ns - at_ns <= LATEST_MARK_NS:
            return now_ns, job.energy_uj
        late_ns = min(now_ns - at_ns, length_ns)
        return now_ns - late_ns, job.energy_uj - job.gained_uj * late_ns // length_ns

    def close_early(self) -> None:
        """Close the open segments as of the last observation."""
        if self._last is not None:
            self.closed += self._segments.close_all(self._last.wall_ns)

    def _begin_anew(self, seen: Observation) -> None:
        """Take starting points only: what was used before this moment is not known."""
        if self._last is not None:
            self._journal.say(
                "too long since the last sample to compare the counters: the time between is"
                " not metered"
            )
            self.close_early()
        self._epochs.note_gap()
        self._jobs.advance(seen.wall_ns, seen.wall_ns, seen.steady_ns, seen.events, seen.readings)

    def _account(self, last: _Last, seen: Observation) -> None:
        length_ns = seen.steady_ns - last.steady_ns
        begin_ns = self._begin_of_interval(last, seen.wall_ns, length_ns)
        self._interval_began_ns = begin_ns
        # The meter may refuse; only then is nothing changed, so it is asked before the jobs.
        self._meter.total_uj(last.counters, seen.counters, length_ns, 0)
        stays = self._jobs.advance(
            begin_ns, seen.wall_ns, seen.steady_ns, seen.events, seen.readings
        )
        jobs_cpu_ns = sum(stay.cpu_ns for _, stay in stays)
        energy = self._energy(last.counters, seen.counters, length_ns, jobs_cpu_ns)
        system_cpu_ns = self._system_cpu_ns(last, seen, jobs_cpu_ns)
        gap = self._restored or length_ns > self._longest_sample_ns()
        if gap:
            self._epochs.note_gap()
        pieces = cut(
            begin_ns,
            seen.wall_ns,
            self._settings.segment_s * NS_PER_S,
            energy,
            [stay for _, stay in stays],
            system_cpu_ns,
        )
        gained: dict[Owner, int] = {}
        by_owner = {job.owner: job for job, _ in stays}
        for piece in pieces:
            self._post(piece, by_owner, gained, gap=gap)
        for job, stay in stays:
            self._credit(job, stay, gained.get(job.owner, 0), length_ns)

    def _begin_of_interval(self, last: _Last, wall_ns: int, length_ns: int) -> int:
        """Where the interval begins by today's wall clock, which may have been set."""
        jump_ns = wall_ns - last.wall_ns - length_ns
        if wall_ns > last.wall_ns and abs(jump_ns) <= CLOCK_JUMP_NS:
            return last.wall_ns
        direction = "forward" if jump_ns > 0 else "back"
        self._journal.say(
            f"the clock went {direction} by {abs(jump_ns) / NS_PER_S:.1f} s; energy that falls"
            " before a closed segment's end goes to the next segment"
        )
        return wall_ns - length_ns

    def _energy(
        self, before: Mapping[str, int], after: Mapping[str, int], length_ns: int, cpu_ns: int
    ) -> Energy:
        """Total and static part; where the meter knows no idle power, the lowest seen so far."""
        total_uj = self._meter.total_uj(before, after, length_ns, cpu_ns)
        static_uj = self._meter.static_uj(length_ns)
        if static_uj is None:
            mean_uw = total_uj * NS_PER_S // length_ns
            if self._lowest_uw is None or (
                mean_uw < self._lowest_uw and self._whole_sample(length_ns)
            ):
                self._lowest_uw = mean_uw
            static_uj = self._lowest_uw * length_ns // NS_PER_S
        return Energy(total_uj, min(static_uj, total_uj))

    def _system_cpu_ns(self, last: _Last, seen: Observation, jobs_cpu_ns: int) -> int:
        if not self._meter.sees_system or last.node_cpu_ns is None or seen.node_cpu_ns is None:
            return 0
        return max(0, seen.node_cpu_ns - last.node_cpu_ns - jobs_cpu_ns)

    def _whole_sample(self, length_ns: int) -> bool:
        """Not one cut short by an epoch mark, which says little about power."""
        return length_ns * 2 >= self._settings.sample_s * NS_PER_S

    def _longest_sample_ns(self) -> int:
        return round(max(5.0, 5 * self._settings.sample_s) * NS_PER_S)

    def _post(
        self,
        piece: Piece,
        by_owner: dict[Owner, TrackedJob],
        gained: dict[Owner, int],
        *,
        gap: bool,
    ) -> None:
        """Divide a piece and put it into its segment."""
        shares = divide(
            piece.energy, piece.length_ns, self._settings.cpus, piece.uses, piece.system_cpu_ns
        )
        tallies = {owner: Tally(energy_uj=share) for owner, share in shares.items()}
        certain = True
        for use in piece.uses:
            job, tally = by_owner[use.owner], tallies[use.owner]
            tally.cpu_ns, tally.present_ns, tally.uid = use.cpu_ns, use.present_ns, job.uid
            certain = certain and job.certain
        for owner, share in shares.items():
            gained[owner] = gained.get(owner, 0) + share
        quality = self._meter.quality
        if quality is Quality.MEASURED and (gap or not certain):
            quality = Quality.PARTIAL
        self._segments.add(piece.begin_ns, self._meter.name, quality, tallies)

    def _credit(self, job: TrackedJob, stay: Stay, gained_uj: int, length_ns: int) -> None:
        job.energy_uj += gained_uj
        job.gained_uj = gained_uj
        throughout = (stay.end_ns - stay.begin_ns) * 10 >= length_ns * 9
        if throughout and self._whole_sample(length_ns):
            watts = gained_uj * 1000 / length_ns  # microjoules a nanosecond are kilowatts
            self._epochs.power((job.job_id, job.restarts), watts)

    def to_state(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        last = self._last
        return {
            "version": STATE_VERSION,
            "cluster": self._settings.cluster,
            "node": self._settings.node,
            "boot_id": self._settings.boot_id,
            "meter": self._meter.name,
            "segment_s": self._settings.segment_s,
            "last": None
            if last is None
            else [last.wall_ns, last.steady_ns, last.counters, last.node_cpu_ns],
            "lowest_uw": self._lowest_uw,
            "jobs": self._jobs.to_state(),
            "segments": self._segments.to_state(),
            "epochs": self._epochs.to_state(),
            "closed": [
                ["segment" if isinstance(one, EnergySegment) else "epoch", one.to_wire()]
                for one in self.closed
            ],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``to_state`` of an earlier process.

        After a boot, or with another meter, the counters cannot be compared: what was open is
        closed as of the last sample, and metering begins anew.

        Raises:
            ValueError, KeyError, TypeError: it is not such a state.
        """
        settings = self._settings
        if (state["version"], state["cluster"], state["node"]) != (
            STATE_VERSION,
            settings.cluster,
            settings.node,
        ):
            raise ValueError(f"it is the state of node {state['node']!r} of {state['cluster']!r}")
        self._segments.load(state["segments"])
        self._epochs.load(state["epochs"])
        self.closed = [
            EnergySegment.from_wire(wire) if kind == "segment" else EpochRecord.from_wire(wire)
            for kind, wire in state["closed"]
        ]
        if state["last"] is None:
            return
        self._last = _Last(*state["last"])
        same_boot = state["boot_id"] == settings.boot_id
        same_meter = (state["meter"], state["segment_s"]) == (self._meter.name, settings.segment_s)
        if same_boot:
            self._jobs = JobTable.from_state(state["jobs"], self._journal)
        if same_meter:
            self._lowest_uw = state["lowest_uw"]
        if same_boot and same_meter:
            self._restored = True
        else:
            self.close_early()
            self._last = None
