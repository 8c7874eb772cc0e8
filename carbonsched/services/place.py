"""On which of several clusters a job that is still to be submitted would emit least."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from carbonsched.errors import ClusterError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import Job, JobKey
from carbonsched.model.placement import Candidacy
from carbonsched.model.plan import Plan
from carbonsched.model.prediction import Prediction
from carbonsched.planning import plan
from carbonsched.ports import Clock
from carbonsched.services.ghosts import expected_s
from carbonsched.services.learning import as_expected
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.placement import Candidate, Placement, choose
from carbonsched.services.planning_request import PlanningRequests
from carbonsched.services.predict import PredictJobs

UNKNOWN_LENGTH_S = 86_400
"""What a waiting job of which nobody knows the length adds to the work that waits."""
_NO_ID = 0  # no job of Slurm's has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Whose job it is."""

    uid: int
    user: str


class PlaceJobs:
    """Plans a job on each cluster in turn as if it waited there; nothing is kept of that."""

    def __init__(
        self,
        clusters: Clusters,
        ledger: Ledger,
        predict: PredictJobs,
        requests: PlanningRequests,
        clock: Clock,
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._predict = predict
        self._requests = requests
        self._clock = clock

    def document(self, who: Submitter, asked: Candidacy) -> dict[str, Any]:
        """The choice with its reason, and what the job would weigh on each cluster.

        Raises:
            RequestError: the site does not manage one of the clusters.
        """
        return self.choose(who, asked).document()

    def choose(self, who: Submitter, asked: Candidacy) -> Placement:
        """The cluster for a job.

        Raises:
            RequestError: the site does not manage one of the clusters.
        """
        names = dict.fromkeys(asked.clusters)  # each once, in the order in which they were named
        managed = [self._clusters.get(name) for name in names] or list(self._clusters)
        now = self._clock.now()
        tried = [self._try(one, _hypothetical(one, who, asked, now), now) for one in managed]
        return choose(tried, asked.here, now)

    def _try(self, managed: ManagedCluster, known: KnownJob, now: int) -> Candidate:
        open_jobs = self._ledger.jobs.open(managed.name)
        prediction = self._predict.tentatively(known)
        candidate = Candidate(
            name=managed.name,
            zone=managed.zone,
            waiting_cpu_s=sum(map(self._work_cpu_s, open_jobs)),
        )
        trial = self._requests.job(known, prediction, now)
        try:
            request = self._requests.of(managed, open_jobs, now, [trial])
        except ClusterError as error:
            return replace(candidate, why=f"it does not answer: {error}")
        candidate = replace(candidate, cpus=request.clusters[0].cpus)
        if trial.cpus > candidate.cpus:
            words = f"the job's {trial.cpus} CPUs are more than the {candidate.cpus} it has"
            return replace(candidate, why=words)
        (planned,) = (one for one in plan(request).plans if one.key == trial.key)
        best = replace(planned, shadow=self._requests.shadow).carried_out
        if prediction is not None:
            prediction = as_expected(prediction, trial.length)
        weighed = self._weighed(known.job, prediction, best, managed)
        return replace(candidate, takes=True, start_at=best.start_at, **weighed)

    def _weighed(
        self, job: Job, prediction: Prediction | None, best: Plan, managed: ManagedCluster
    ) -> dict[str, Any]:
        """Grams, or why none can be told.

        Where the forecast ends before the job does, its mean so far stands for the rest if it is
        most of the run; what was last known of the grid is no ground for a choice.
        """
        if prediction is None:
            return {"why": "nothing tells how long the job will run or what it needs; give --time"}
        mass = self._predict.mass(job, prediction, best.start_at)
        if mass is None or not mass.foretold:
            return {"why": f"there is no forecast for its grid zone {managed.zone}"}
        mg = best.expected_mg if best.expected_mg is not None else mass.mg
        return {"mg": mg, "forecast": mass.label}

    def _work_cpu_s(self, known: KnownJob) -> int:
        job = known.job
        if not job.pending:
            return 0
        length_s = expected_s(job, self._ledger.plans.prediction(job.key))
        return job.cpus * job.tasks * (UNKNOWN_LENGTH_S if length_s is None else length_s)


def _hypothetical(managed: ManagedCluster, who: Submitter, asked: Candidacy, now: int) -> KnownJob:
    """The job as Slurm would have it on this cluster.

    It is weighed without a quota: where its owner has none left, every cluster keeps it waiting.
    """
    size = asked.size
    job = Job(
        key=JobKey(cluster=managed.name, job_id=_NO_ID, submitted_at=now, restarts=0),
        uid=who.uid,
        user=who.user,
        account="",
        partition="",
        name=size.name,
        state="PENDING",
        node_count=size.node_count,
        cpus=size.cpus,
        time_limit_s=size.time_limit_s,
        eligible_at=now,
    )
    return KnownJob(
        job=job, directives=asked.directives, begin_at=None, first_seen_at=now, seen_at=now
    )
