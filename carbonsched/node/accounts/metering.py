"""The agent's heart: from one observation to the next, every microjoule gets its owner.

It does no input or output of its own: observations come in, closed segments and epochs go out, and
``to_state`` is all that it knows. See docs/explanation/metering.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carbonsched.model.energy import EnergySegment, Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.node.accounts.attribution import Allocation, NodeSize
from carbonsched.node.accounts.gains import Gains
from carbonsched.node.accounts.intervals import Piece, cut
from carbonsched.node.accounts.modelled_gpus import by_allocation
from carbonsched.node.accounts.segments import SegmentBook
from carbonsched.node.accounts.statics import StaticPower
from carbonsched.node.accounts.system_cpu import SystemCpu
from carbonsched.node.accounts.totals import Totals
from carbonsched.node.accounts.upgrade import STATE_VERSION, upgraded
from carbonsched.node.epoch_book import EpochBook
from carbonsched.node.journal import Journal
from carbonsched.node.mark_format import Mark
from carbonsched.node.meters.meter import Reading
from carbonsched.node.meters.panel import Panel
from carbonsched.node.observation import NodeSettings, Observation
from carbonsched.node.presence.jobs import JobTable, TrackedJob
from carbonsched.node.presence.stays import Owner
from carbonsched.units import NS_PER_S

LATEST_MARK_NS = 2 * NS_PER_S
"""A mark that says it was sent longer ago than this has a wrong clock: it counts as sent now."""
CLOCK_JUMP_NS = 2 * NS_PER_S
"""Wall and steady time further apart than this between two samples: somebody set the clock."""


@dataclass(slots=True)
class _Last:
    """Where the last sample left off."""

    wall_ns: int
    steady_ns: int
    meters: Mapping[str, Reading]
    node_cpu_ns: int | None


class Metering:
    """One node's accounts."""

    def __init__(
        self, settings: NodeSettings, panel: Panel, journal: Journal, wall_ns: int
    ) -> None:
        self._settings = settings
        self._panel = panel
        self._journal = journal
        self._jobs = JobTable(journal)
        self._epochs = EpochBook(settings.cluster, settings.node)
        floor_at = -(-wall_ns // NS_PER_S)
        self._segments = SegmentBook(settings.cluster, settings.node, settings.segment_s, floor_at)
        self._statics = StaticPower(settings.idle_w)
        self._system_cpu = SystemCpu()
        self._last: _Last | None = None
        self._restored = False
        self._interval_began_ns = wall_ns
        self._quality: dict[Owner, Quality] = {}
        self.totals = Totals()
        self.closed: list[EnergySegment | EpochRecord] = []

    @property
    def jobs(self) -> JobTable:
        """The jobs on the node."""
        return self._jobs

    def advance(self, seen: Observation) -> bool:
        """Account for the time since the last observation; ``False`` if none has passed."""
        last = self._last
        if last is None or seen.steady_ns - last.steady_ns > self._panel.longest_gap_ns:
            self._begin_anew(seen)
            meters = seen.meters
        elif seen.steady_ns > last.steady_ns:
            self._account(last, seen)
            meters = self._panel.merge(dict(last.meters), dict(seen.meters))
        else:
            return False
        self._last = _Last(seen.wall_ns, seen.steady_ns, meters, seen.node_cpu_ns)
        self._restored = False
        self._epochs.keep((job.job_id, job.restarts) for job in self._jobs)
        self.closed += self._segments.close_until(seen.wall_ns, self._present())
        return True

    def covers(self, job_id: int, at_ns: int | None) -> bool:
        """Whether a mark of this job was sent between the last two samples: it needs no other.

        With one more it would seem to have been sent after the last of these two.
        """
        if self._last is None or at_ns is None or self._jobs.latest(job_id) is None:
            return False
        return self._interval_began_ns < at_ns <= self._last.wall_ns

    def mark(self, job: TrackedJob, uid: int, mark: Mark) -> None:
        """A job marks an epoch; a sample has been taken since.

        The mark was sent a little earlier, so its energy is read between the last two samples.
        """
        if self._last is None:
            return
        at_ns, energy_uj = self._at_mark(job, mark.at_ns, self._last.wall_ns)
        within = at_ns < self._last.wall_ns or not mark.start
        quality = self._quality.get(job.owner, Quality.PARTIAL) if within else Quality.MEASURED
        record = self._epochs.mark(
            (job.job_id, job.restarts), uid, mark, at_ns, energy_uj, quality, self._limit_w(job)
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
            self.closed += self._segments.close_all(self._last.wall_ns, self._present())

    def _present(self) -> set[Owner]:
        return {job.owner for job in self._jobs}

    def _begin_anew(self, seen: Observation) -> None:
        """Take starting points only: what was used before this moment is not known."""
        begin_ns = seen.wall_ns
        if (last := self._last) is None:
            self._segments.set_back(max(0, self._interval_began_ns - seen.wall_ns))
        else:
            length_ns = seen.steady_ns - last.steady_ns
            begin_ns = self._begin_of_interval(last, seen.wall_ns, length_ns)
            self._journal.say(
                "too long since the last sample to compare the counters: the time between is"
                " not metered"
            )
            self.close_early()
        self._interval_began_ns = seen.wall_ns
        self._epochs.note_gap()
        self._quality = {}
        self._jobs.advance(
            begin_ns, seen.wall_ns, seen.steady_ns, seen.events, seen.cgroups, self._panel.gpus()
        )

    def _account(self, last: _Last, seen: Observation) -> None:
        length_ns = seen.steady_ns - last.steady_ns
        begin_ns = self._begin_of_interval(last, seen.wall_ns, length_ns)
        self._interval_began_ns = begin_ns
        gpus = self._panel.gpus()
        seen_jobs = self._jobs.advance(
            begin_ns, seen.wall_ns, seen.steady_ns, seen.events, seen.cgroups, gpus
        )
        stays = [stay for _, stay in seen_jobs.stays]
        jobs_cpu_ns = sum(stay.cpu_ns for stay in stays)
        energies = self._panel.between(
            dict(last.meters), dict(seen.meters), length_ns, jobs_cpu_ns + seen_jobs.other_ns
        )
        energies = by_allocation(energies, stays, length_ns)
        self.totals.drawn(energies)
        pieces = cut(
            begin_ns,
            seen.wall_ns,
            self._settings.segment_s * NS_PER_S,
            self._statics.complete(energies, length_ns),
            stays,
            self._system_cpu_ns(last, seen, jobs_cpu_ns, seen_jobs.other_ns),
        )
        gap = self._restored or self._too_long(length_ns)
        gains = Gains(seen_jobs.stays, length_ns, gap=gap)
        devices = tuple(dict.fromkeys(gpu.device for gpu in gpus))  # slices name it several times
        node = NodeSize(self._settings.cpus, self._settings.memory_mb, devices)
        for piece in pieces:
            self._post(piece, node, gains)
        gains.credit()
        self._tell_epochs(gains, seen.wall_ns, length_ns)
        self._quality = gains.quality
        self.totals.sampled(seen.wall_ns, gains.job_w())

    def _begin_of_interval(self, last: _Last, wall_ns: int, length_ns: int) -> int:
        """Where the interval begins by today's wall clock, which may have been set."""
        jump_ns = wall_ns - last.wall_ns - length_ns
        if wall_ns > last.wall_ns and abs(jump_ns) <= CLOCK_JUMP_NS:
            return last.wall_ns
        if jump_ns < 0:
            self._segments.set_back(-jump_ns)
        direction = "forward" if jump_ns > 0 else "back"
        self._journal.say(
            f"the clock went {direction} by {abs(jump_ns) / NS_PER_S:.1f} s; energy that falls"
            " before a closed segment's end goes to the next segment"
        )
        return wall_ns - length_ns

    def _system_cpu_ns(
        self, last: _Last, seen: Observation, jobs_cpu_ns: int, other_ns: int
    ) -> int:
        """CPU time of no job: the whole node's less the jobs'; that of Slurm's groups is in it."""
        if not self._panel.sees_system or last.node_cpu_ns is None or seen.node_cpu_ns is None:
            return other_ns
        whole_ns = seen.node_cpu_ns - last.node_cpu_ns
        return self._system_cpu.beyond(jobs_cpu_ns, other_ns, whole_ns)

    def _whole_sample(self, length_ns: int) -> bool:
        """Not one cut short by an epoch mark, which says little about power."""
        return length_ns * 2 >= self._settings.sample_s * NS_PER_S

    def _too_long(self, length_ns: int) -> bool:
        return length_ns > max(5.0, 5 * self._settings.sample_s) * NS_PER_S

    def _post(self, piece: Piece, node: NodeSize, gains: Gains) -> None:
        """Divide a piece and put it into its segment."""
        allocation = Allocation(piece.length_ns, node, piece.uses)
        cells = allocation.divide(piece.energies, piece.system_cpu_ns)
        times = allocation.node_times()
        tallies = {owner: gains.tally(owner, cells) for owner in cells | times}
        for owner, node_ns in times.items():
            tallies[owner].node_ns = node_ns
        for use in piece.uses:
            tallies[use.owner].cpu_ns += use.cpu_ns
            tallies[use.owner].present_ns += use.present_ns
        self.totals.used(cells)
        self._segments.add(piece.begin_ns, self._panel.name, tallies)

    def _tell_epochs(self, gains: Gains, now_ns: int, length_ns: int) -> None:
        for job, stay in gains.stays:
            throughout = (stay.end_ns - stay.begin_ns) * 10 >= length_ns * 9
            self._epochs.sample(
                (job.job_id, job.restarts),
                now_ns,
                job.energy_uj,
                gains.quality.get(job.owner, Quality.PARTIAL),
                gains.mean_w(job) if throughout and self._whole_sample(length_ns) else None,
                self._limit_w(job),
            )

    def _limit_w(self, job: TrackedJob) -> int | None:
        """The power limit that all of a job's GPUs have as of now.

        ``None`` where they differ or one does not tell, and for a part of a GPU: whether the limit
        binds there depends on who has the rest.
        """
        if job.unknown_gpus or any(part != whole for part, whole in job.gpus.values()):
            return None
        limits = {gpu.device: gpu.limit_w for gpu in self._panel.gpus()}
        found = {limits.get(device) for device in job.gpus}
        return found.pop() if len(found) == 1 else None

    def to_state(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        last = self._last
        return {
            "version": STATE_VERSION,
            "cluster": self._settings.cluster,
            "node": self._settings.node,
            "boot_id": self._settings.boot_id,
            "segment_s": self._settings.segment_s,
            "last": None
            if last is None
            else [last.wall_ns, last.steady_ns, last.meters, last.node_cpu_ns],
            "panel": self._panel.to_state(),
            "statics": self._statics.to_state(),
            "jobs": self._jobs.to_state(),
            "system_cpu_owed_ns": self._system_cpu.owed_ns,
            "segments": self._segments.to_state(),
            "epochs": self._epochs.to_state(),
            "closed": [
                ["segment" if isinstance(one, EnergySegment) else "epoch", one.to_wire()]
                for one in self.closed
            ],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``to_state`` of an earlier process, also of another version.

        After a boot counters cannot be compared: what was open is closed as of the last sample, and
        metering begins anew. Of other meters than before only devices that both know are compared.

        Raises:
            ValueError, KeyError, TypeError: it is not such a state.
        """
        settings = self._settings
        if (state["cluster"], state["node"]) != (settings.cluster, settings.node):
            raise ValueError(f"it is the state of node {state['node']!r} of {state['cluster']!r}")
        state = upgraded(state)
        self._segments.load(state["segments"])
        self._epochs.load(state["epochs"])
        self._statics.load(state["statics"])
        self.closed = [
            EnergySegment.from_wire(wire) if kind == "segment" else EpochRecord.from_wire(wire)
            for kind, wire in state["closed"]
        ]
        if state["last"] is None:
            return
        self._last = _Last(*state["last"])
        same_boot = state["boot_id"] == settings.boot_id
        if same_boot:
            self._jobs = JobTable.from_state(state["jobs"], self._journal)
            self._panel.load(state["panel"])
            # Agents before this was kept did not tell.
            self._system_cpu = SystemCpu(int(state.get("system_cpu_owed_ns", 0)))
            self._restored = True
        if not same_boot or state["segment_s"] != settings.segment_s:
            self.close_early()
        if not same_boot:
            self._last = None
