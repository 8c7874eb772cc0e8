"""The epochs that jobs marked, over all of their nodes and runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carbonsched.ledger import Ledger
from carbonsched.model.job import Job
from carbonsched.prediction.whole_epochs import WholeEpoch, whole_epochs

Row = dict[str, Any]


class EpochLogs:
    """From the ledger alone."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def of(self, user: str | None, job_id: int) -> list[Row]:
        """A job's epochs, or each task's and component's, those without any left out.

        An epoch that a run did again is the later run's.
        """
        runs: dict[tuple[str, int], list[Job]] = {}
        for known in self._ledger.jobs.select(user=user, job_id=job_id):
            key = known.job.key
            runs.setdefault((key.cluster, key.job_id), []).append(known.job)
        rows = [_row(jobs[-1], self._epochs(jobs)) for jobs in runs.values()]
        return [row for row in rows if row["epochs"]]

    def _epochs(self, jobs: Sequence[Job]) -> list[WholeEpoch]:
        found: dict[int, WholeEpoch] = {}
        for job in sorted(jobs, key=lambda one: one.key.restarts):
            if job.started_at is not None:
                records = self._ledger.readings.epochs_of(job.key, job.started_at)
                found |= {one.number: one for one in whole_epochs(records)}
        return [found[number] for number in sorted(found)]


def _row(job: Job, epochs: Sequence[WholeEpoch]) -> Row:
    return {
        "cluster": job.key.cluster,
        "job_id": job.key.job_id,
        "shown_id": job.shown_id,
        "user": job.user,
        "name": job.name,
        "epochs": [
            {
                "epoch": one.number,
                "restarts": one.restarts,
                "started_ms": one.start_ms,
                "duration_ms": one.length_ms,
                "energy_millij": one.millij,
                "steps": one.steps,
                "parts": [[part.duration_ms, part.energy_millij] for part in one.parts],
            }
            for one in epochs
        ],
    }
