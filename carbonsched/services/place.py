"""On which of several clusters or partitions a job that is still to be submitted emits least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from carbonsched.errors import RequestError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import Job, JobKey
from carbonsched.model.placement import Candidacy
from carbonsched.ports import Clock
from carbonsched.services.learning import as_expected
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.place_parts import trials
from carbonsched.services.placement import Candidate, Placement, choose
from carbonsched.services.planning_request import PlanningRequests
from carbonsched.services.predict import PredictJobs
from carbonsched.services.trials import Trial, Trials

_NO_ID = 0  # no job of Slurm's has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Whose job it is."""

    uid: int
    user: str


class PlaceJobs:
    """Plans a job at each place in turn as if it waited there; nothing is kept of that."""

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
        self._trials = Trials(ledger, predict, requests)

    def document(self, who: Submitter, asked: Candidacy) -> dict[str, Any]:
        """The choice with its reason, and what the job would weigh at each place.

        Raises:
            RequestError: the site does not manage one of the clusters.
        """
        return self.choose(who, asked).document()

    def choose(self, who: Submitter, asked: Candidacy) -> Placement:
        """The cluster for a job, or the partition.

        Raises:
            RequestError: the site does not manage one of the clusters.
        """
        now = self._clock.now()
        if asked.partitions:
            return choose(self._on_partitions(who, asked, now), None, now, "partition")
        names = dict.fromkeys(asked.clusters)  # each once, in the order in which they were named
        managed = [self._clusters.get(name) for name in names] or list(self._clusters)
        tried = [self._on_cluster(one, _hypothetical(one, who, asked, now), now) for one in managed]
        return choose(tried, asked.here, now)

    def _on_cluster(self, managed: ManagedCluster, known: KnownJob, now: int) -> Candidate:
        prediction = self._predict.tentatively(known)
        planned = self._requests.job(known, prediction, now)
        if prediction is not None:
            prediction = as_expected(prediction, planned.length)
        trial = Trial(
            managed=managed,
            job=known.job,
            planned=planned,
            prediction=prediction,
            candidate=Candidate(name=managed.name, zone=managed.zone, waiting_cpu_s=0),
        )
        return self._trials.candidate(trial, now)

    def _on_partitions(self, who: Submitter, asked: Candidacy, now: int) -> list[Candidate]:
        managed = self._home(asked.here)
        known = _hypothetical(managed, who, asked, now)
        planned = self._requests.job(known, None, now)
        names = tuple(dict.fromkeys(asked.partitions))
        return [
            one if isinstance(one, Candidate) else self._trials.candidate(one, now)
            for one in trials(self._ledger, managed, names, known, planned, asked.size, now)
        ]

    def _home(self, here: str | None) -> ManagedCluster:
        """The cluster that partitions are of: as named, else the site's only one."""
        if here is not None:
            return self._clusters.get(here)
        managed, *others = self._clusters
        if others:
            raise RequestError("the site has several clusters; name that of the partitions in here")
        return managed


def _hypothetical(managed: ManagedCluster, who: Submitter, asked: Candidacy, now: int) -> KnownJob:
    """The job as Slurm would have it on this cluster.

    It is weighed without a quota: where its owner has none left, every place keeps it waiting.
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
