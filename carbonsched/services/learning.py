"""How long jobs run, learnt from all that have ended; kept in memory, read from the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable
from threading import Lock

from carbonsched.ledger import Ledger
from carbonsched.model.job import Job, JobKey
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.model.spread import Spread
from carbonsched.prediction.runtimes import RunTimes, Unfinished
from carbonsched.services.managed import Clusters
from carbonsched.services.predict import HISTORY_S

ANEW_EVERY_S = 86_400
"""How often everything is learnt anew: what is too old is forgotten, what came late is found."""
OVERLAP_S = 3600
"""How far each look reaches back: Slurm's accounting may tell of an end late."""
AGAIN_AFTER_S = 60
MOST_RUNS = 50_000
"""Of each cluster the newest; they bound the time and memory that learning takes."""


class Learning:
    """The run times of the site's jobs, whoever's and wherever they were."""

    def __init__(self, clusters: Clusters, ledger: Ledger) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._run_times = RunTimes()
        self._anew_at = 0
        self._until_at = 0
        self._latest: frozenset[JobKey] = frozenset()
        self._going_on: dict[str, list[Unfinished]] = {}
        self._lock = Lock()

    def catch_up(self, now: int) -> None:
        """Learn from the runs that have ended since the last time."""
        with self._lock:  # a request to place a job may come during a plan
            if now >= self._anew_at:
                self._run_times = self._learn(RunTimes(), now - HISTORY_S, now)
                self._tell_of_those_that_go_on()
                self._anew_at = now + ANEW_EVERY_S
            elif now - self._until_at >= AGAIN_AFTER_S:
                self._learn(self._run_times, self._until_at - OVERLAP_S, now)

    def go_on(self, cluster: str, jobs: Iterable[Job], now: int) -> None:
        """Learn from the jobs of a cluster that run: they take longer than so far."""
        found = [
            (job.key, Unfinished(job.user, job.cpus, job.time_limit_s, now - job.started_at))
            for job in jobs
            if job.active and job.started_at is not None and job.time_limit_s
        ]
        found.sort(key=lambda one: (-one[1].elapsed_s, one[0]))
        with self._lock:
            self._going_on[cluster] = [run for _, run in found]
            self._tell_of_those_that_go_on()

    def _tell_of_those_that_go_on(self) -> None:
        self._run_times.go_on(run for runs in self._going_on.values() for run in runs)

    def _learn(self, run_times: RunTimes, since_at: int, now: int) -> RunTimes:
        known = self._latest if run_times is self._run_times else frozenset()
        found = [
            run
            for managed in self._clusters
            for run in self._ledger.jobs.ended(managed.name, since_at, MOST_RUNS)
        ]
        for run in sorted(found, key=lambda one: (one.ended_at, one.key)):
            if run.key not in known:
                run_times.ended(run.user, run.cpus, run.requested_s, run.ran_s)
        self._latest = frozenset(run.key for run in found if run.ended_at >= now - OVERLAP_S)
        self._until_at = now
        return run_times

    def length(self, job: Job) -> Spread | None:
        """How long a job may run once it starts, at most its time limit; ``None`` without one."""
        if not job.time_limit_s:
            return None
        return self._run_times.of(job.user, job.cpus, job.time_limit_s)

    def left(
        self, job: Job, prediction: Prediction | None, began_at: int, now: int
    ) -> Spread | None:
        """How much longer a job may run that began then, never beyond its time limit.

        By its epochs where it tells them. ``None`` where neither limit nor prediction is known.
        """
        elapsed_s = max(0, now - began_at)
        most_s = None if not job.time_limit_s else max(1, job.time_limit_s - elapsed_s)
        if prediction is not None and prediction.source is PredictionSource.EPOCHS:
            left_s = max(1, prediction.duration_s - elapsed_s)
            return Spread.exactly(left_s if most_s is None else min(left_s, most_s))
        if job.time_limit_s and most_s is not None:
            left = self._run_times.left(job.user, job.cpus, job.time_limit_s, elapsed_s)
            return left.at_most(most_s)
        if prediction is None:
            return None
        # What has outlived its prediction is expected to take as long again.
        left_s = prediction.duration_s - elapsed_s
        return Spread.exactly(left_s if left_s > 0 else max(1, elapsed_s))


def as_expected(prediction: Prediction, length: Spread | None) -> Prediction:
    """The same energy over the length that is expected: what a plan's milligrams are of."""
    if length is None:
        return prediction
    return prediction.about(max(1, math.ceil(length.mean_s)))
