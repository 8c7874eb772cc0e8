"""Predicting each open job from the best that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import CompletedRun, KnownJob
from carbonsched.model.job import Job
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.ports import Clock
from carbonsched.prediction import (
    PastRun,
    choose,
    from_history,
    from_limits,
    power_range,
    rest_of,
)
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.own_epochs import OwnEpochs
from carbonsched.units import emissions_mg, to_mg

HISTORY_S = 180 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Mass:
    """Predicted milligrams with their intervals, by the intensity that is expected.

    ``p25_mg`` and ``p75_mg`` are ``None`` where the prediction has no 50 % interval.
    """

    mg: int
    low_mg: int
    p25_mg: int | None
    p75_mg: int | None
    high_mg: int
    label: str
    foretold: bool = True


class _Past(NamedTuple):
    """A user's completed runs, and those with the energy that one cluster's nodes would need."""

    completed: list[CompletedRun]
    as_here: list[PastRun]


class PredictJobs:
    """Makes predictions and keeps each version."""

    def __init__(
        self, clusters: Clusters, ledger: Ledger, grid: Grid, clock: Clock, stop_cost_s: int
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._grid = grid
        self._clock = clock
        self._stop_cost_s = stop_cost_s
        self._own_epochs = OwnEpochs(ledger)

    def run(self) -> int:
        """Predict every open job; returns how many could be predicted."""
        predicted, there = 0, set()
        for managed in self._clusters:
            history: dict[str, _Past] = {}
            for known in self._ledger.jobs.open(managed.name):
                there.add(known.job.key)
                user = known.job.user
                if user not in history:
                    history[user] = self._past(managed, user)
                predicted += self._predict(known, history[user]) is not None
        self._own_epochs.forget_all_but(there)
        return predicted

    def one(self, known: KnownJob) -> Prediction | None:
        """Predict one job, one task of it if it is an array; keeps the prediction."""
        return self._predict(known, self._past_of(known.job))

    def tentatively(self, known: KnownJob) -> Prediction | None:
        """The same of a job that is not in Slurm yet; keeps nothing."""
        return self._reckon(known, self._past_of(known.job))

    def _predict(self, known: KnownJob, past: _Past) -> Prediction | None:
        prediction = self._reckon(known, past)
        if prediction is not None:
            self._ledger.plans.add_prediction(known.job.key, prediction, self._clock.now())
        return prediction

    def _reckon(self, known: KnownJob, past: _Past) -> Prediction | None:
        job = known.job
        managed = self._clusters.get(job.key.cluster)
        power = power_range(job.cpus, managed.classes_of(job.nodes))
        found = choose(
            self._own_epochs.predict(known, past.completed),
            from_history(
                past.as_here,
                user=job.user, name=job.name, cpus=job.cpus,
                script=known.directives.script_digest if known.directives else None,
                time_limit_s=job.time_limit_s, power=power,
            ),
            from_limits(job.time_limit_s, power),
        )  # fmt: skip
        before = self._ledger.stops.before(job.key)
        if before is None or (found is not None and found.source is PredictionSource.EPOCHS):
            return found
        by_epochs = self._ledger.plans.prediction(before.key)
        if by_epochs is not None and by_epochs.source is PredictionSource.EPOCHS:
            found = by_epochs  # what the run before told of the job holds until this one does
        if found is None:
            return None
        return rest_of(found, before.left_s, before.cost_or(self._stop_cost_s))

    def _as_on(self, managed: ManagedCluster, cluster: str, run: PastRun) -> PastRun:
        """A run of another cluster with the energy that it would have needed on this one.

        By the power of a CPU of each; where that is not declared the nodes are taken to be alike.
        """
        if run.energy_j is None or cluster == managed.name:
            return run
        other = self._clusters.find(cluster)
        here = power_range(1, managed.node_classes)
        there = power_range(1, other.node_classes) if other is not None else None
        if here is None or there is None or not there.middle_w:
            return run
        return replace(run, energy_j=round(run.energy_j * here.middle_w / there.middle_w))

    def mass(self, job: Job, prediction: Prediction, start_at: int) -> Mass | None:
        """What a prediction weighs if the job runs from ``start_at``; all tasks of an array.

        Of a job that runs: what it has been charged, and what is left at what is expected of the
        hours to come.
        """
        managed = self._clusters.get(job.key.cluster)
        now = self._clock.now()
        end_at = max(start_at + prediction.duration_s, now + 1)
        ahead = self._grid.expected(managed.zone, start_at, end_at, now)
        if ahead is None:
            return None
        charged = self._ledger.entries.charged(job.key).values() if job.started_at else ()
        charged_mg, charged_j = sum(mg for mg, _, _ in charged), sum(one[1] for one in charged)

        def mg(energy_j: int) -> int:
            left_j = max(0, energy_j - charged_j)
            exact = emissions_mg(left_j, managed.pue_ppm, 1) * ahead.mean_mg_per_kwh * job.tasks
            return charged_mg + to_mg(exact)

        quarter_j, most_j = prediction.energy_p25_j, prediction.energy_p75_j
        return Mass(
            mg=mg(prediction.energy_j),
            low_mg=mg(prediction.energy_low_j),
            p25_mg=None if quarter_j is None else mg(quarter_j),
            p75_mg=None if most_j is None else mg(most_j),
            high_mg=mg(prediction.energy_high_j),
            label=ahead.label,
            foretold=ahead.foretold,
        )

    def _past_of(self, job: Job) -> _Past:
        return self._past(self._clusters.get(job.key.cluster), job.user)

    def _past(self, managed: ManagedCluster, user: str) -> _Past:
        completed = self._ledger.jobs.completed(user, self._clock.now() - HISTORY_S)
        runs = []
        for one in completed:
            past = one.job
            if past.started_at is None or past.ended_at is None:
                continue
            run = PastRun(
                user=past.user,
                name=past.name,
                cpus=past.cpus,
                ended_at=past.ended_at,
                duration_s=one.done_s + past.ended_at - past.started_at,
                energy_j=one.energy_j,
                script=one.script_digest,
            )
            runs.append(self._as_on(managed, past.key.cluster, run))
        return _Past(completed, runs)
