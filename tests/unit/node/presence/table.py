"""A job table, and what it is told, second by second."""

from __future__ import annotations

from carbonsched.node.presence.cgroups import CgroupSample, CpuReading
from carbonsched.node.presence.events import Event, EventKind
from carbonsched.node.presence.jobs import JobTable

NS = 1_000_000_000


def event(kind, job_id, at_s, restarts=0, cpus=2, uid=1000, **more):
    return Event(
        name=f"{kind}.{job_id}.{restarts}.1", kind=EventKind(kind), at_ns=round(at_s * NS),
        job_id=job_id, restarts=restarts, uid=uid, cpus=cpus, **more,
    )  # fmt: skip


def reading(job_id, cpu_s, inode=1, uid=1000, **more):
    return CpuReading(job_id, uid, round(cpu_s * NS), inode, **more)


class Table:
    """A job table driven second by second."""

    def __init__(self, journal):
        self.jobs = JobTable(journal)
        self.at_s = 0.0
        self.ahead_s = 0.0
        self.other_s = 0.0
        self.stays = {}

    def go(self, seconds, *seen, all_s=None, gpus=(), hierarchy=5, left=()):
        begin, self.at_s = self.at_s, self.at_s + seconds
        events = [one for one in seen if isinstance(one, Event)]
        sample = CgroupSample(
            tuple(one for one in seen if isinstance(one, CpuReading)),
            None if all_s is None else round(all_s * NS),
            hierarchy,
            {one.inode: one.cpu_ns for one in left},
        )
        advance = self.jobs.advance(
            round(begin * NS),
            round(self.at_s * NS),
            round((self.at_s - self.ahead_s) * NS),
            events,
            sample,
            gpus,
        )
        self.other_s = advance.other_ns / NS
        self.stays = {(job.job_id, job.restarts): stay for job, stay in advance.stays}
        return {
            (job.job_id, job.restarts): ((stay.end_ns - stay.begin_ns) / NS, stay.cpu_ns / NS)
            for job, stay in advance.stays
        }
