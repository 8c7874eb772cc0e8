"""Predictions from the epochs that a job marked, and from those of its owner's like trainings."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import CompletedRun, KnownJob
from carbonsched.model.epoch import EpochRecord
from carbonsched.model.job import Job, JobKey
from carbonsched.model.prediction import Prediction
from carbonsched.prediction import EarlierTraining, as_one, from_epochs

MOST_PIECES = 50
"""How many runs of one job are looked back at: a bound, for a ledger that names one by itself."""
MOST_EARLIER = 3
"""Like trainings that are looked at: with more the prediction hardly changes, and takes longer."""


class _Told(NamedTuple):
    """What the records of a job's epochs told when there were so many."""

    records: int
    prediction: Prediction | None


class OwnEpochs:
    """Predicts anew when a job's nodes have told of another epoch, and keeps it until they do."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._told: dict[JobKey, _Told] = {}

    def predict(self, known: KnownJob, completed: Collection[CompletedRun]) -> Prediction | None:
        """Of a job that runs; ``completed`` are its owner's runs, the newest first."""
        key, started_at = known.job.key, known.job.started_at
        if started_at is None:
            return None
        records = self._ledger.readings.epoch_count(key)
        told = self._told.get(key)
        if told is None or told.records != records:
            made = self._reckon(known, started_at, completed) if records else None
            told = self._told[key] = _Told(records, made)
        return told.prediction

    def forget_all_but(self, keys: Collection[JobKey]) -> None:
        """Only these are still there."""
        self._told = {key: told for key, told in self._told.items() if key in keys}

    def _reckon(
        self, known: KnownJob, started_at: int, completed: Collection[CompletedRun]
    ) -> Prediction | None:
        job, asked = known.job, known.directives
        own = self._ledger.readings.epochs_of(job.key, started_at)
        joined = as_one(self._before(job.key), own, job.node_count)
        whole = from_epochs(
            own if joined is None else joined.records,
            epochs_total=asked.epochs if asked else None,
            validate_every=asked.validate_every if asked else None,
            started_at=started_at - (0 if joined is None else joined.before_s),
            node_count=job.node_count,
            earlier=self._earlier(known, completed),
        )
        return whole if whole is None or joined is None else joined.of_this_run(whole)

    def _before(self, key: JobKey) -> list[EpochRecord]:
        """The epochs of the runs that we stopped so that this one goes on, the latest run first."""
        found: list[EpochRecord] = []
        for _ in range(MOST_PIECES):
            before = self._ledger.stops.before(key)
            if before is None:
                break
            key = before.key
            run = self._ledger.jobs.get(key)
            if run is not None and run.job.started_at is not None:
                found += self._ledger.readings.epochs_of(key, run.job.started_at)
        return found

    def _earlier(
        self, known: KnownJob, completed: Collection[CompletedRun]
    ) -> list[EarlierTraining]:
        """The newest trainings like this one that ran to their own end."""
        found: list[EarlierTraining] = []
        for run in completed:
            if not _alike(known, run) or run.job.started_at is None:
                continue
            own = self._ledger.readings.epochs_of(run.job.key, run.job.started_at)
            joined = as_one(self._before(run.job.key), own, run.job.node_count)
            records = own if joined is None else joined.records
            if records:
                found.append(EarlierTraining(tuple(records), run.job.node_count))
            if len(found) == MOST_EARLIER:
                break
        return found


def _alike(known: KnownJob, run: CompletedRun) -> bool:
    """The same program on as much of the cluster: by its script where that is known of both."""
    job, past = known.job, run.job
    script = known.directives.script_digest if known.directives else None
    same = (
        job.name == past.name
        if script is None or run.script_digest is None
        else script == run.script_digest
    )
    return same and _size(job) == _size(past)


def _size(job: Job) -> tuple[str, str, int, int]:
    return job.key.cluster, job.user, job.cpus, job.node_count
