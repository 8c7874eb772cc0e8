"""What cannot be known of the jobs here, for want of a meter: it is said, and they are partial."""

from __future__ import annotations

from collections.abc import Iterable

from carbonsched.node.journal import Journal
from carbonsched.node.meters.meter import Gpu
from carbonsched.node.presence.runs import TrackedJob


class Doubts:
    """Marks runs of which something is missing; says each want once, with its remedy."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._inventory: tuple[Gpu, ...] | None = None
        self._sees_gpus = True

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
