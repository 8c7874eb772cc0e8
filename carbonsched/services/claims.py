"""Which reading is whose: what agents saw, held against Slurm's record of when each job ran.

An agent may take a job to be there before it began or after it ended, where the prolog or epilog
failed, and does not know how often a job was restarted that it found without a prolog. Slurm's
record decides. What it leaves of a reading is *unclaimed*: charged to nobody, and told by the
audit. Every joule of a job's part is either one run's or unclaimed, never both and never two's.

Where a node missed a job's epilog, what it saw runs on beyond the end, so there Slurm's second is
the end, without anything after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from carbonsched.ledger import Ledger
from carbonsched.ledger.lost_ends import LostEnds
from carbonsched.ledger.readings import JobReading
from carbonsched.model.energy import Quality
from carbonsched.model.job import Job
from carbonsched.ports import Clock
from carbonsched.units import apportion

EDGES_S = 2
"""What a job may be present beyond its record: Slurm tells whole seconds, before the prolog has
begun and after the epilog."""
_EDGES_MS = EDGES_S * 1000
_NONE: LostEnds = {}


class Claims:
    """The readings that count for a job."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def of(self, job: Job, after: int = 0) -> list[JobReading]:
        """A job's readings in time order, each cut to the job's time by Slurm's record.

        Only those that came after the part of that number.
        """
        if job.started_at is None:
            return []
        key = job.key
        until_at = job.ended_at if job.ended_at is not None else self._clock.now()
        readings = self._ledger.readings.of_job(
            key.cluster,
            key.job_id,
            {key.restarts, 0},
            job.started_at - EDGES_S,
            until_at + 1 + EDGES_S,
            after,
        )
        if not readings:
            return []
        others = [run for run in self._ledger.jobs.runs(key.cluster, key.job_id) if run.key != key]
        runs, lost = [*others, job], self._ledger.lost_ends.of_id(key.cluster, key.job_id)
        return [cut(job, one, lost) for one in readings if owner(one, runs, lost) is job]


def owner(reading: JobReading, runs: Sequence[Job], lost: LostEnds = _NONE) -> Job | None:
    """The run, of those under the reading's job id, whose reading this is.

    It is the run with the reading's restart count that was there at the time. A reading that names
    no restarts, where no such run was there, is of the only run that was: an agent that found the
    job without its prolog knows no count.
    """
    there = [run for run in runs if _was_there(run, reading, lost)]
    named = [run for run in there if run.key.restarts == reading.restarts]
    if named:
        return max(named, key=lambda run: (_overlap_s(run, reading, lost), run.key.submitted_at))
    return there[0] if len(there) == 1 else None


def cut(job: Job, reading: JobReading, lost: LostEnds = _NONE) -> JobReading:
    """The reading as far as the job was there by Slurm's record; the rest is ``unclaimed_j``.

    Energy is taken to flow evenly while the job was thought present. Presence beyond the record by
    no more than two seconds is the job's own, but not beyond an end that the node missed.
    """
    end_lost = (job.key, reading.node) in lost
    if end_lost:
        reading = replace(reading, end_lost=True)
    allowed_ms = 1000 * _overlap_s(job, reading, lost)
    edges_ms = 0 if end_lost and _reaches_beyond(job, reading, lost) else _EDGES_MS
    if reading.present_ms <= allowed_ms + edges_ms:
        return reading

    def share(amount: int) -> int:
        return amount * allowed_ms // reading.present_ms

    energy_j = share(reading.energy_j)
    known = any(reading.domains.values())
    return replace(
        reading,
        energy_j=energy_j,
        domains=apportion(energy_j, reading.domains) if known else reading.domains,
        uncertainty_j=share(reading.uncertainty_j),
        cpu_ms=share(reading.cpu_ms),
        node_ms=share(reading.node_ms),
        present_ms=allowed_ms,
        quality=Quality.PARTIAL,
        unclaimed_j=reading.energy_j - energy_j,
    )


def _was_there(run: Job, reading: JobReading, lost: LostEnds) -> bool:
    if run.started_at is None or reading.restarts not in (run.key.restarts, 0):
        return False
    if _overlap_s(run, reading, lost) > 0:
        return True
    until_at = _until_at(run, reading, lost)
    edge_s = 0 if (run.key, reading.node) in lost else EDGES_S
    near = reading.end_at > run.started_at - EDGES_S and (
        until_at is None or reading.start_at < until_at + edge_s
    )
    return near and reading.present_ms <= _EDGES_MS


def _overlap_s(run: Job, reading: JobReading, lost: LostEnds) -> int:
    """For how long a run was there in the reading's time."""
    if run.started_at is None:
        return 0
    until_at = _until_at(run, reading, lost)
    last_at = reading.end_at if until_at is None else min(reading.end_at, until_at)
    return max(0, last_at - max(reading.start_at, run.started_at))


def _until_at(run: Job, reading: JobReading, lost: LostEnds) -> int | None:
    """Where a run's time on the reading's node ends; ``None`` for one that goes on.

    Its last second counts as whole, unless the node missed its end: then nothing says how much of
    that second it was there. But one that began in its last second has that.
    """
    told_at = lost.get((run.key, reading.node))
    if told_at is None:
        return None if run.ended_at is None else run.ended_at + 1
    ended_at = told_at if run.ended_at is None else run.ended_at
    return ended_at if run.started_at is None else max(ended_at, run.started_at + 1)


def _reaches_beyond(run: Job, reading: JobReading, lost: LostEnds) -> bool:
    until_at = _until_at(run, reading, lost)
    return until_at is not None and reading.end_at > until_at
