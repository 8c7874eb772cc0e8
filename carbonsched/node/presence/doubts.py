"""What cannot be known of the jobs here, and why: it is said, and such jobs are partial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from carbonsched.node.journal import Journal
from carbonsched.node.meters.meter import Gpu
from carbonsched.node.presence.cgroups import CgroupSample
from carbonsched.node.presence.runs import TrackedJob
from carbonsched.units import NS_PER_S

UNCOUNTED_NS = 30 * NS_PER_S
"""A job's first step makes Slurm's groups; without any for so long, Slurm does not count here."""


class Doubts:
    """Marks runs of which something is missing; says each want once, with its remedy."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._inventory: tuple[Gpu, ...] | None = None
        self._sees_gpus = True
        self._counts = True

    def announced(self) -> None:
        """A prolog has told of GPUs, which are to be found."""
        self._inventory = None

    def find_gpus(self, jobs: Iterable[TrackedJob], gpus: tuple[Gpu, ...]) -> None:
        """What the prologs' words for GPUs mean among those that are metered."""
        if gpus == self._inventory:
            return
        self._inventory = gpus
        for job in jobs:
            known = job.unknown_gpus
            job.find_gpus(gpus)
            if job.unknown_gpus and job.unknown_gpus != known:
                self._say_unknown(job, some_are_seen=bool(gpus))
        self._sees_gpus |= bool(gpus)

    def count_cpu_time(self, jobs: Sequence[TrackedJob], sample: CgroupSample, now_ns: int) -> None:
        """Whether Slurm counts CPU time by job here: without, all dynamic energy is the system's.

        Groups of other jobs than those here do: a job without a step has none of its own.
        """
        if sample.hierarchy or sample.readings:
            if not self._counts:
                self._journal.say("CPU time of jobs is counted now")
            self._counts = True
        elif self._counts:
            waiting = (job for job in jobs if job.announced and job.end_ns is None)
            job = next((one for one in waiting if now_ns - one.since_ns >= UNCOUNTED_NS), None)
            if job is not None:
                self._counts = False
                self._say_uncounted(job)
        for one in jobs:
            one.uncounted = not self._counts

    def _say_uncounted(self, job: TrackedJob) -> None:
        self._journal.say(
            f"job {job.job_id} is here and no control group tells its CPU time: the energy of its"
            " work counts as the system's and jobs are partial; set"
            " JobAcctGatherType=jobacct_gather/cgroup and ProctrackType=proctrack/cgroup in"
            " slurm.conf"
        )

    def _say_unknown(self, job: TrackedJob, *, some_are_seen: bool) -> None:
        names = ", ".join(job.unknown_gpus)
        if some_are_seen:
            self._journal.say(
                f"job {job.job_id}: GPU {names} is none that is metered here, so it gets no share"
                " of it"
            )
        elif self._sees_gpus:
            self._sees_gpus = False
            self._journal.say(
                f"job {job.job_id} has GPU {names}, and no meter here sees any GPU: their energy is"
                " missing and jobs that have them are partial; load the GPUs' driver, let the agent"
                " read it, or declare the GPUs of this node's class and run"
                " 'carbonsched config compile'"
            )
