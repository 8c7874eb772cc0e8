"""A job tried at a place as if it waited there, with the jobs that do; nothing is kept of that."""

from __future__ import annotations

from dataclasses import dataclass, replace

from carbonsched.errors import ClusterError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import Job
from carbonsched.model.plan import Plan
from carbonsched.model.prediction import Prediction
from carbonsched.planning import PlanningJob, plan
from carbonsched.services.ghosts import expected_s
from carbonsched.services.managed import ManagedCluster
from carbonsched.services.parts import Part
from carbonsched.services.placement import Candidate
from carbonsched.services.planning_request import PlanningRequests
from carbonsched.services.predict import PredictJobs
from carbonsched.services.queueing import let_in_at

UNKNOWN_LENGTH_S = 86_400
"""What a waiting job of which nobody knows the length adds to the work that waits."""
NO_LENGTH = "nothing tells how long the job will run or what it needs; give --time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A job at a cluster, or at a part of it.

    ``prediction`` is what it is weighed by; ``lacks`` says what is missing where there is none.
    ``candidate`` is what the place is known by before the trial.
    """

    managed: ManagedCluster
    job: Job
    planned: PlanningJob
    prediction: Prediction | None
    candidate: Candidate
    lacks: str = NO_LENGTH
    part: Part | None = None


class Trials:
    """Plans jobs on trial and weighs them by their plans."""

    def __init__(self, ledger: Ledger, predict: PredictJobs, requests: PlanningRequests) -> None:
        self._ledger = ledger
        self._predict = predict
        self._requests = requests

    def candidate(self, trial: Trial, now: int) -> Candidate:
        """What the job would weigh there, or why it cannot run."""
        managed, part, key = trial.managed, trial.part, trial.planned.key
        open_jobs = self._ledger.jobs.open(managed.name)
        here = open_jobs if part is None else part.jobs(open_jobs)
        waiting_cpu_s = sum(map(self._work_cpu_s, here))
        candidate = replace(trial.candidate, waiting_cpu_s=waiting_cpu_s)
        try:
            request = self._requests.of(managed, open_jobs, now, [trial.planned], part)
        except ClusterError as error:
            return replace(candidate, why=f"it does not answer: {error}")
        candidate = replace(candidate, cpus=request.clusters[0].cpus)
        if trial.planned.cpus > candidate.cpus:
            words = f"the job's {trial.planned.cpus} CPUs are more than the {candidate.cpus} it has"
            return replace(candidate, why=words)
        plans = plan(request).plans
        (planned,) = (one for one in plans if one.key == key)
        best = replace(planned, shadow=self._requests.shadow).carried_out
        candidate = replace(candidate, takes=True)
        if part is None:
            return self._weighed(trial, best, best.start_at, candidate)
        start_at = let_in_at(request, plans, key, best.start_at)
        if start_at is None:
            why = "it is full for as long as plans look ahead"
            return replace(candidate, late=True, why=why)
        late = start_at > max(now, trial.planned.bounds.latest_at)
        return self._weighed(trial, best, start_at, replace(candidate, late=late))

    def _weighed(self, trial: Trial, best: Plan, start_at: int, candidate: Candidate) -> Candidate:
        """With its start and its grams, or why none can be told.

        Where the forecast ends before the job does, its mean so far stands for the rest if it is
        most of the run; what was last known of the grid is no ground for a choice.
        """
        candidate = replace(candidate, start_at=start_at)
        if trial.prediction is None:
            return replace(candidate, why=trial.lacks)
        mass = self._predict.mass(trial.job, trial.prediction, start_at)
        if mass is None or not mass.foretold:
            zone = trial.managed.zone
            return replace(candidate, why=f"there is no forecast for its grid zone {zone}")
        as_planned = start_at == best.start_at and best.expected_mg is not None
        return replace(
            candidate, mg=best.expected_mg if as_planned else mass.mg, forecast=mass.label
        )

    def _work_cpu_s(self, known: KnownJob) -> int:
        job = known.job
        if not job.pending:
            return 0
        length_s = expected_s(job, self._ledger.plans.prediction(job.key))
        return job.cpus * job.tasks * (UNKNOWN_LENGTH_S if length_s is None else length_s)
