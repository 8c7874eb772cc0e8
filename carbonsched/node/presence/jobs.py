"""Which jobs are on the node, told by events, and by control groups where events are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from carbonsched.node.journal import Journal
from carbonsched.node.meters.meter import Gpu
from carbonsched.node.presence.cgroups import CgroupSample, CpuReading
from carbonsched.node.presence.doubts import Doubts
from carbonsched.node.presence.events import Event, EventKind
from carbonsched.node.presence.runs import ENDS_KEPT_NS, LOST_END_NS, Ends, TrackedJob
from carbonsched.node.presence.stays import Stay
from carbonsched.node.presence.unseen import UnseenCpu
from carbonsched.units import NS_PER_S

CLOCK_JUMP_NS = 2 * NS_PER_S
"""Wall and steady time further apart than this between two samples: somebody set the clock."""

__all__ = ["Advance", "JobTable", "TrackedJob"]


@dataclass(frozen=True, slots=True)
class Advance:
    """What happened in an interval: who was there, and CPU time of jobs that nobody knows."""

    stays: list[tuple[TrackedJob, Stay]]
    other_ns: int = 0


class JobTable:
    """The jobs of the node, in the order in which they came."""

    def __init__(self, journal: Journal, jobs: Iterable[TrackedJob] = ()) -> None:
        self._journal = journal
        self._jobs: list[TrackedJob] = list(jobs)
        self._ends = Ends()
        self._unseen = UnseenCpu()
        self._until: tuple[int, int] | None = None
        self._doubts = Doubts(journal)
        self._left: dict[int, int] = {}

    def __iter__(self) -> Iterator[TrackedJob]:
        return iter(tuple(self._jobs))

    def latest(self, job_id: int) -> TrackedJob | None:
        """The latest run of a job: its control group is this run's."""
        return next((job for job in reversed(self._jobs) if job.job_id == job_id), None)

    def present(self) -> list[tuple[int, int]]:
        """Job and restart count of the runs of which no end is known."""
        return [(job.job_id, job.restarts) for job in self._jobs if job.end_ns is None]

    def sluids(self) -> dict[str, int]:
        """Jobs by the names that prologs told for them, for ``JobCgroups.read``."""
        return {job.sluid: job.job_id for job in self._jobs if job.sluid}

    def advance(
        self,
        begin_ns: int,
        end_ns: int,
        steady_ns: int,
        events: Sequence[Event],
        sample: CgroupSample,
        gpus: tuple[Gpu, ...] = (),
    ) -> Advance:
        """Take in what was seen at the end of an interval; who was there, and its CPU time."""
        self._follow_clock(end_ns, steady_ns)
        for event in events:
            if event.kind is EventKind.BEGIN:
                self._begin(event)
            else:
                self._end(event)
        were_suspended = {id(job) for job in self._jobs if job.suspended}
        used, gone = self._take_readings(sample, begin_ns, steady_ns)
        seen = set(used)
        self._unseen.take_in(sample.hierarchy, sample.all_ns, sum(used.values()))
        other_ns = self._unseen.settle(self._jobs, begin_ns, end_ns, used, gone)
        self._doubts.find_gpus(self._jobs, gpus)
        self._doubts.count_cpu_time(self._jobs, sample, end_ns)
        stays = [
            (
                job,
                job.stay(
                    begin_ns,
                    end_ns,
                    used.get(id(job), 0),
                    # In the interval in which it is stopped it still ran.
                    suspended=job.suspended and id(job) in were_suspended,
                ),
            )
            for job in self._jobs
        ]
        for job in self._jobs:
            if job.begin_ns is not None and job.begin_ns <= end_ns:
                job.begin_ns = None
        self._drop(seen)
        return Advance(stays, other_ns)

    def end_from_slurm(self, ended: Iterable[tuple[int, int, float]]) -> None:
        """Close runs that Slurm says have ended (job, restart count, seconds since 1970).

        What they were given after that instant stays with them, so they are doubtful.
        """
        steady_ns = 0 if self._until is None else self._until[1]
        for job_id, restarts, ended_at_s in ended:
            at_ns = round(ended_at_s * NS_PER_S)
            for job in self._jobs:
                same = (job.job_id, job.restarts) == (job_id, restarts)
                if same and job.end_ns is None and job.may_have_ended(at_ns, steady_ns):
                    job.end_ns, job.doubtful = at_ns, True
                    self._journal.say(
                        f"job {job_id} has ended by Slurm's record, without a word from the epilog"
                    )

    def to_state(self) -> dict[str, Any]:
        """For ``state.json``."""
        return {
            "runs": [job.to_state() for job in self._jobs],
            "ends": self._ends.to_state(),
            "unseen": self._unseen.to_state(),
            "until": self._until,
            "left": list(self._left.items()),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any] | list[dict[str, Any]], journal: Journal) -> JobTable:
        """From ``state.json``; earlier agents kept the list of runs only."""
        if isinstance(state, list):
            return cls(journal, [TrackedJob(**one) for one in state])
        table = cls(journal, [TrackedJob(**one) for one in state["runs"]])
        table._ends = Ends(state["ends"])
        table._unseen = UnseenCpu(*state["unseen"])
        table._left = dict(state.get("left", ()))  # earlier agents did not tell
        if state["until"] is not None:
            table._until = (state["until"][0], state["until"][1])
        return table

    # Events

    def _follow_clock(self, wall_ns: int, steady_ns: int) -> None:
        """If the wall clock was set since the last sample, all instants are set with it."""
        if self._until is not None:
            jump_ns = wall_ns - self._until[0] - (steady_ns - self._until[1])
            if abs(jump_ns) > CLOCK_JUMP_NS:
                for job in self._jobs:
                    job.shift(jump_ns)
                self._ends.shift(jump_ns)
        self._until = (wall_ns, steady_ns)
        self._ends.forget_before(wall_ns - ENDS_KEPT_NS)

    def _begin(self, event: Event) -> None:
        over_ns = self._ends.after(event)
        before = self.latest(event.job_id)
        if before is not None and before.restarts == event.restarts:
            if over_ns is None:
                self._begin_again(before, event)
            return
        if (
            before is not None
            and event.restarts < before.restarts
            and event.at_ns < before.since_ns
        ):
            return  # a late word of an earlier run
        if before is not None and before.end_ns is None:
            before.end_ns = event.at_ns
        run = TrackedJob(
            job_id=event.job_id,
            restarts=event.restarts,
            uid=None,
            cpus=None,
            announced=True,
            begin_ns=event.at_ns,
            end_ns=over_ns,
            since_ns=event.at_ns,
        )
        self._announce(run, event)
        self._jobs.append(run)

    def _begin_again(self, job: TrackedJob, event: Event) -> None:
        """The same run by its number: a repeated event, a late one, or the number used again."""
        ended = job.end_ns is not None and job.end_ns < event.at_ns
        later = event.at_ns > job.since_ns
        another = job.announced and later and (job.away or job.uid != event.uid)
        if ended or another:
            job.begin_ns, job.since_ns, job.end_ns = event.at_ns, event.at_ns, None
            job.away, job.gone_since_ns, job.doubtful = False, None, False
        if another:
            job.energy_uj = job.gained_uj = 0
        if ended or another or not job.announced:
            self._announce(job, event)

    def _announce(self, job: TrackedJob, event: Event) -> None:
        job.uid, job.cpus, job.announced = event.uid, event.cpus, True
        job.requested, job.visible, job.sluid = event.gpus, event.visible, event.sluid
        self._doubts.announced()
        if event.cpus is None:
            self._journal.say(
                f"job {event.job_id}: its CPUs on this node are not known, so unless its cpuset"
                " tells, it gets no share of the idle power, only that of its CPU time"
            )

    def _end(self, event: Event) -> None:
        """Close the run that is open; the epilog of one that was requeued has the next number."""
        self._ends.add(event)
        for job in reversed(self._jobs):
            if job.job_id != event.job_id or job.end_ns is not None:
                continue
            begun = job.restarts <= event.restarts and job.since_ns <= event.at_ns
            if begun or not job.announced:
                job.end_ns = event.at_ns
                return

    # Control groups

    def _take_readings(
        self, sample: CgroupSample, begin_ns: int, steady_ns: int
    ) -> tuple[dict[int, int], set[int]]:
        """CPU time since the last readings, and which runs lost a group since, by identity."""
        used: dict[int, int] = {}
        gone: set[int] = set()
        for reading in sample.readings:
            job = self._run_of(reading) or self._unannounced(reading, begin_ns)
            origin = job if job.inode is not None else self._with_group(reading, job)
            same = origin.inode == reading.inode and origin.cpu_ns <= reading.cpu_ns
            if not same and job.inode is not None:
                gone.add(id(job))  # it has another group now
            used[id(job)] = reading.cpu_ns - (origin.cpu_ns if same else self._left_by(reading))
            job.used_cpu(used[id(job)], steady_ns)
            job.inode, job.cpu_ns = reading.inode, reading.cpu_ns
            job.gone_since_ns, job.away = None, False
            job.suspended = reading.suspended
            job.memory_mb, job.cpuset = reading.memory_mb, reading.cpus
        for job in self._jobs:
            if id(job) not in used and job.inode is not None:
                job.suspended = False
                if job.gone_since_ns is None or job.end_ns is not None:
                    gone.add(id(job))
                if job.end_ns is None:
                    self._miss(job, steady_ns)
        self._left = dict(sample.left)
        return used, gone

    def _run_of(self, reading: CpuReading) -> TrackedJob | None:
        if reading.sluid:
            for job in self._jobs:
                if job.sluid == reading.sluid:
                    return job
        return self.latest(reading.job_id)

    def _with_group(self, reading: CpuReading, otherwise: TrackedJob) -> TrackedJob:
        """The earlier run of a requeued job that had the same control group."""
        for job in self._jobs:
            if (job.job_id, job.inode) == (reading.job_id, reading.inode):
                return job
        return otherwise

    def _left_by(self, reading: CpuReading) -> int:
        """Where a group starts that is new to its job: one may be left over from an earlier run."""
        left_ns = self._left.get(reading.inode, 0)
        return left_ns if left_ns <= reading.cpu_ns else 0

    def _unannounced(self, reading: CpuReading, begin_ns: int) -> TrackedJob:
        self._journal.say(
            f"job {reading.job_id} is here without a word from the prolog: metered from now on"
        )
        job = TrackedJob(
            job_id=reading.job_id,
            restarts=0,
            uid=reading.uid,
            cpus=None,
            announced=False,
            since_ns=begin_ns,
            sluid=reading.sluid,
        )
        self._jobs.append(job)
        return job

    def _miss(self, job: TrackedJob, steady_ns: int) -> None:
        """A control group is gone without an end: perhaps only between two steps."""
        if job.gone_since_ns is None:
            job.gone_since_ns = steady_ns
        elif not job.away and steady_ns - job.gone_since_ns > LOST_END_NS:
            job.away = True
            self._journal.say(
                f"job {job.job_id} has had no process here for {LOST_END_NS // NS_PER_S} s and no"
                " word from the epilog: it no longer counts unless it comes back"
            )

    # The rest

    def _drop(self, with_cgroup: set[int]) -> None:
        """Forget runs that ended, but for those whose control group is still there."""
        self._jobs = [job for job in self._jobs if not self._over(job) or id(job) in with_cgroup]

    @staticmethod
    def _over(job: TrackedJob) -> bool:
        if job.announced:
            return job.end_ns is not None
        return job.end_ns is not None or job.gone_since_ns is not None
