"""Which jobs are on the node, told by events, and by control groups where events are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from carbonsched.model.energy import PartKind
from carbonsched.node.attribution import Owner
from carbonsched.node.cgroups import CpuReading
from carbonsched.node.events import Event, EventKind
from carbonsched.node.intervals import Stay
from carbonsched.node.journal import Journal
from carbonsched.units import NS_PER_S

LOST_END_NS = 600 * NS_PER_S
"""A job whose control group was there and has been gone so long is taken to have ended."""


@dataclass(slots=True, kw_only=True)
class TrackedJob:
    """One run of a job on this node, as far as the agent knows.

    ``begin_ns`` is ``None`` once the job was there at the end of an interval: it is then present
    in the next one from its start. ``energy_uj`` is all that was attributed to it so far,
    ``gained_uj`` what the last interval added.
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

    @property
    def owner(self) -> Owner:
        """The name under which it is charged."""
        return Owner(PartKind.JOB, self.job_id, self.restarts)

    @property
    def certain(self) -> bool:
        """Whether its presence and allocation are known rather than seen from outside."""
        return self.announced and self.cpus is not None


_FIELDS = tuple(one.name for one in fields(TrackedJob))


class JobTable:
    """The jobs of the node, in the order in which they came."""

    def __init__(self, journal: Journal, jobs: Iterable[TrackedJob] = ()) -> None:
        self._journal = journal
        self._jobs: list[TrackedJob] = list(jobs)

    def __iter__(self) -> Iterator[TrackedJob]:
        return iter(tuple(self._jobs))

    def latest(self, job_id: int) -> TrackedJob | None:
        """The latest run of a job: its control group is this run's."""
        return next((job for job in reversed(self._jobs) if job.job_id == job_id), None)

    def advance(
        self,
        begin_ns: int,
        end_ns: int,
        steady_ns: int,
        events: Sequence[Event],
        readings: Sequence[CpuReading],
    ) -> list[tuple[TrackedJob, Stay]]:
        """Take in what was seen at the end of an interval; who was there, and its CPU time."""
        for event in events:
            if event.kind is EventKind.BEGIN:
                self._begin(event)
            else:
                self._end(event)
        used = self._take_readings(readings, steady_ns)
        stays = [(job, _stay(job, begin_ns, end_ns, used.get(id(job), 0))) for job in self._jobs]
        for job in self._jobs:
            if job.begin_ns is not None and job.begin_ns <= end_ns:
                job.begin_ns = None
        self._drop({reading.job_id for reading in readings})
        return stays

    def clear(self) -> None:
        """The machine has booted: nobody is there any more."""
        self._jobs.clear()

    def to_state(self) -> list[dict[str, Any]]:
        """For ``state.json``."""
        return [{name: getattr(job, name) for name in _FIELDS} for job in self._jobs]

    @classmethod
    def from_state(cls, state: list[dict[str, Any]], journal: Journal) -> JobTable:
        """From ``state.json``."""
        return cls(journal, [TrackedJob(**one) for one in state])

    def _begin(self, event: Event) -> None:
        before = self.latest(event.job_id)
        if before is not None and before.restarts == event.restarts:
            if before.end_ns is not None and before.end_ns < event.at_ns:
                before.begin_ns, before.end_ns = event.at_ns, None
            if not before.announced:
                before.uid, before.cpus, before.announced = event.uid, event.cpus, True
            return
        run = TrackedJob(
            job_id=event.job_id,
            restarts=event.restarts,
            uid=event.uid,
            cpus=event.cpus,
            announced=True,
            begin_ns=event.at_ns,
        )
        if event.cpus is None:
            self._journal.say(
                f"job {event.job_id}: its CPUs on this node are not known, so it gets no share of"
                " the idle power, only that of its CPU time"
            )
        if before is not None:
            run.inode, run.cpu_ns = before.inode, before.cpu_ns
            if before.end_ns is None:
                before.end_ns = event.at_ns
        self._jobs.append(run)

    def _end(self, event: Event) -> None:
        """Close the run that is open; the epilog of one that was requeued has the next number."""
        for job in reversed(self._jobs):
            same_run = job.restarts <= event.restarts or not job.announced
            if job.job_id == event.job_id and same_run and job.end_ns is None:
                job.end_ns = event.at_ns
                return

    def _take_readings(self, readings: Sequence[CpuReading], steady_ns: int) -> dict[int, int]:
        """CPU time since the last readings, by the identity of the run that it belongs to."""
        used: dict[int, int] = {}
        seen = set()
        for reading in readings:
            job = self.latest(reading.job_id) or self._unannounced(reading)
            same = job.inode == reading.inode and job.cpu_ns <= reading.cpu_ns
            used[id(job)] = reading.cpu_ns - (job.cpu_ns if same else 0)
            job.inode, job.cpu_ns = reading.inode, reading.cpu_ns
            job.gone_since_ns, job.away = None, False
            seen.add(id(job))
        for job in self._jobs:
            if id(job) not in seen and job.inode is not None and job.end_ns is None:
                self._miss(job, steady_ns)
        return used

    def _unannounced(self, reading: CpuReading) -> TrackedJob:
        self._journal.say(
            f"job {reading.job_id} is here without a word from the prolog: metered from now on"
        )
        job = TrackedJob(
            job_id=reading.job_id, restarts=0, uid=reading.uid, cpus=None, announced=False
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

    def _drop(self, with_cgroup: set[int]) -> None:
        """Forget runs that ended, the latest one only when its control group is gone too."""
        self._jobs = [
            job
            for job in self._jobs
            if not self._over(job) or (job.job_id in with_cgroup and self.latest(job.job_id) is job)
        ]

    @staticmethod
    def _over(job: TrackedJob) -> bool:
        if job.announced:
            return job.end_ns is not None
        return job.end_ns is not None or job.gone_since_ns is not None


def _stay(job: TrackedJob, begin_ns: int, end_ns: int, cpu_ns: int) -> Stay:
    """The part of the interval in which the job was there; empty if it was not."""
    first = begin_ns if job.begin_ns is None else max(begin_ns, job.begin_ns)
    last = end_ns if job.end_ns is None else min(end_ns, job.end_ns)
    if job.away or last < first:
        first = last = begin_ns
    return Stay(job.owner, job.cpus or 0, first, last, cpu_ns)
