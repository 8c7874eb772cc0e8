"""What stopping a run costs, in seconds of running.

    cost of a stop = max(the site's figure, the job's start-up)
    start-up       = start of the run's first marked epoch - start of the run

of the newest run of the job whose marks tell it. The next run starts up again, and takes the job's
power meanwhile. The site's figure is the floor: writing and reading the checkpoint, and what is
done again after it, are seen by nobody.
"""

from __future__ import annotations

from carbonsched.ledger import Ledger
from carbonsched.model.job import Job
from carbonsched.model.stop import Stop

_MILLI = 1000


class StopCosts:
    """Reckons them from the marks in the ledger; ``least_s`` is the site's figure."""

    def __init__(self, ledger: Ledger, least_s: int) -> None:
        self._ledger = ledger
        self._least_s = least_s

    def of_next(self, job: Job) -> int:
        """What the next stop of a job costs, by what is known of it now."""
        before = self._ledger.stops.before(job.key)
        start_up_s = self._start_up_s(job, before)
        if start_up_s is None and before is not None:
            start_up_s = self.of(before)  # the latest that was known when that run was stopped
        return max(self._least_s, start_up_s or 0)

    def of(self, stop: Stop) -> int:
        """What a stop was reckoned to cost when it began: by that its job is planned from then."""
        return stop.cost_or(self._least_s)

    def _start_up_s(self, job: Job, before: Stop | None) -> int | None:
        """How long this run took to begin its work; ``None`` where its marks do not tell.

        They do if its first marked epoch is the first of the job, or follows those of the run
        before. A later one is not the first that it ran: marks of earlier ones are missing.
        """
        if job.started_at is None:
            return None
        first = self._ledger.readings.first_epoch(job.key, job.started_at)
        if first is None:
            return None
        number, began_ms = first
        if number > self._epochs_done(before) + 1:
            return None
        return -((job.started_at * _MILLI - began_ms) // _MILLI)  # whole seconds, rounded up

    def _epochs_done(self, before: Stop | None) -> int:
        run = None if before is None else self._ledger.jobs.get(before.key)
        if run is None or run.job.started_at is None:
            return 0
        return self._ledger.readings.last_epoch(run.job.key, run.job.started_at) or 0
