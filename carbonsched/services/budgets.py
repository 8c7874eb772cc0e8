"""Keeping jobs to the budgets that their owners gave them: a warning, a signal, a grace, the end.

Nothing waits in here: each tick does what is due, and each step is in the ledger before it is done,
so that whoever comes after a kill goes on. Jobs without a budget are never touched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from carbonsched.errors import ClusterError, ClusterUnavailableError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.budget import BudgetCase, BudgetState
from carbonsched.model.job import JobKey
from carbonsched.model.prediction import PredictionSource
from carbonsched.ports import Clock
from carbonsched.services.budget_steps import EndStep, next_end
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.moves import NOTE
from carbonsched.services.pieces import StopPolicy
from carbonsched.services.predict import PredictJobs
from carbonsched.services.use import Use, Used
from carbonsched.units import format_duration, format_energy, format_mass

SIGNAL = "TERM"
"""What a job gets that has no checkpoint to write: what it would get of its cancellation."""
MOST = 20
"""How many runs of a cluster are told to end in one tick: each takes some calls of Slurm."""
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands with its budget: what it used, and what it is expected to use in all."""

    budget_mg: int
    used: Used
    predicted_mg: int | None

    @property
    def exceeds(self) -> bool:
        """Whether it is expected to use more than it has."""
        return (self.predicted_mg or 0) > self.budget_mg


class JobBudgets:
    """Looks at each open job that has a budget, and ends those that have used it up."""

    def __init__(
        self,
        clusters: Clusters,
        ledger: Ledger,
        predict: PredictJobs,
        use: Use,
        policy: StopPolicy,
        clock: Clock,
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._predict = predict
        self._use = use
        self._policy = policy
        self._clock = clock

    def run(self) -> str:
        """One look at every cluster; one that does not answer is looked at again by the next."""
        watched = 0
        for managed in self._clusters:
            try:
                for case in self._ledger.budgets.under_way(managed.name):
                    if not self._in_its_grace(case):
                        self._carried(managed, case, self._carry_on)
                watched += self._watch(managed)
            except ClusterUnavailableError as error:
                _LOGGER.warning("cluster %s: budgets wait: %s", managed.name, error)
        return f"{watched} jobs with budgets"

    def standing(self, known: KnownJob) -> Standing | None:
        """How a job stands with its budget; ``None`` of one without, and of parts of jobs."""
        job, asked = known.job, known.directives
        if asked is None or asked.budget_mg is None:
            return None
        if job.array_job_id is not None or job.het_job_id is not None or job.tasks > 1:
            return None
        used = self._use.of(job)
        return Standing(asked.budget_mg, used, self._predicted_mg(known, used))

    def _predicted_mg(self, known: KnownJob, used: Used) -> int | None:
        """Of all runs: what was used before this one, and what this one is predicted to use."""
        job = known.job
        prediction = self._ledger.plans.prediction(job.key)
        if prediction is None:
            return None
        mass = self._predict.mass(job, prediction, job.started_at or self._clock.now())
        if mass is None:
            return None
        return max(used.mg, used.before_mg + mass.mg)

    def _in_its_grace(self, case: BudgetCase) -> bool:
        """Whether the last look at the queue has it running, and nothing is due: none is asked."""
        known = self._ledger.jobs.get(case.key)
        running = known is not None and known.job.state == "RUNNING"
        early = self._clock.now() < case.at + self._policy.grace_s
        return running and early and case.state is BudgetState.SIGNALLED

    def _watch(self, managed: ManagedCluster) -> int:
        watched = begun = 0
        for known in self._ledger.jobs.open(managed.name):
            if known.directives is None or known.directives.budget_mg is None:
                continue
            case = self._ledger.budgets.of(known.job.key)
            if case is not None and case.state is not BudgetState.WARNED:
                continue
            found = self.standing(known)
            if found is None:
                continue
            watched += 1
            if found.used.mg >= found.budget_mg:
                if begun < MOST and self._may_end(known):
                    begun += 1
                    first = self._case(known, found, BudgetState.SIGNALLING)
                    self._carried(managed, first, self._begin)
            elif case is None and self._is_expected_to_exceed(known, found):
                self._warn(managed, known, found)
        return watched

    def _may_end(self, known: KnownJob) -> bool:
        """Not while it ends anyway, or is stopped to go on: then its next run is ended."""
        stop = self._ledger.stops.of(known.job.key)
        if stop is not None and stop.state.under_way:
            return False
        return known.job.pending or known.job.state in ("RUNNING", "SUSPENDED")

    def _is_expected_to_exceed(self, known: KnownJob, found: Standing) -> bool:
        """Whether a running job is; by what it declares nobody is warned once it runs.

        Most jobs stay far below their limits, and what those come to was told at submission.
        """
        prediction = self._ledger.plans.prediction(known.job.key)
        if prediction is None or prediction.source is PredictionSource.LIMITS:
            return False
        return known.job.active and found.exceeds

    def _case(self, known: KnownJob, found: Standing, state: BudgetState) -> BudgetCase:
        now = self._clock.now()
        return BudgetCase(
            key=known.job.key,
            at=now,
            state=state,
            changed_at=now,
            budget_mg=found.budget_mg,
            used_mg=found.used.mg,
            predicted_mg=found.predicted_mg,
        )

    # Warning

    def _warn(self, managed: ManagedCluster, known: KnownJob, found: Standing) -> None:
        """Once for each run: in the ledger, in the log, in Slurm's comment."""
        words = (
            f"expected to emit {format_mass(found.predicted_mg)}, more than its budget of"
            f" {format_mass(found.budget_mg)}: it is ended when that is used up"
        )
        case = self._case(known, found, BudgetState.WARNED)
        self._ledger.budgets.save(replace(case, note=words))
        _LOGGER.warning("%s is %s", self._named(case.key), words)
        self._remark(managed, case.key, words)

    def _remark(self, managed: ManagedCluster, key: JobKey, words: str) -> None:
        """Tell Slurm, whose word everybody can see; nothing hangs on it."""
        try:
            managed.cluster.remark(key.job_id, f"{NOTE}: {words}")
        except ClusterError as error:
            _LOGGER.info("%s has no comment on its budget: %s", self._named(key), error)

    # Ending

    def _carried(
        self,
        managed: ManagedCluster,
        case: BudgetCase,
        work: Callable[[ManagedCluster, BudgetCase], None],
    ) -> None:
        """Work on one run; what Slurm refuses is looked at again, and ends where the job does.

        Raises:
            ClusterUnavailableError: Slurm does not answer.
        """
        try:
            work(managed, case)
        except ClusterUnavailableError:
            raise
        except ClusterError as error:
            _LOGGER.warning("%s is not ended yet: %s", self._named(case.key), error)

    def _begin(self, managed: ManagedCluster, case: BudgetCase) -> None:
        """Its first step. What is written and not done is found by the next look."""
        words = (
            f"its budget of {format_mass(case.budget_mg)} is used up"
            f" ({format_mass(case.used_mg)} so far)"
        )
        begun = replace(case, note=words)
        self._ledger.budgets.save(begun)
        self._carry_on(managed, begun)

    def _carry_on(self, managed: ManagedCluster, case: BudgetCase) -> None:
        standing = managed.cluster.standing(case.key.job_id)
        found = next_end(case, standing, self._clock.now(), self._policy.grace_s)
        match found.step:
            case EndStep.SIGNAL:
                self._signal(managed, case)
            case EndStep.CANCEL:
                self._end(managed, case)
            case EndStep.DONE:
                self._save(case, BudgetState.ENDED)
            case EndStep.LEAVE:
                self._save(replace(case, note=f"{case.note}; {found.why}"), BudgetState.LEFT)
                _LOGGER.info("%s is not ended by us: %s", self._named(case.key), found.why)
            case EndStep.WAIT:
                pass

    def _signal(self, managed: ManagedCluster, case: BudgetCase) -> None:
        known = self._ledger.jobs.get(case.key)
        asked = known.directives if known else None
        name = self._policy.signal if asked is not None and asked.checkpoint else SIGNAL
        managed.cluster.signal(case.key.job_id, name)
        self._save(replace(case, at=self._clock.now()), BudgetState.SIGNALLED)
        _LOGGER.warning(
            "%s: %s; it is told by %s, and ended in %s",
            self._named(case.key), case.note, name, format_duration(self._policy.grace_s),
        )  # fmt: skip

    def _end(self, managed: ManagedCluster, case: BudgetCase) -> None:
        self._save(case, BudgetState.ENDING)
        self._remark(managed, case.key, f"ended, for {case.note}")
        managed.cluster.cancel(case.key.job_id)
        _LOGGER.warning("%s is ended: %s", self._named(case.key), case.note)

    def _save(self, case: BudgetCase, state: BudgetState) -> None:
        self._ledger.budgets.save(replace(case, state=state, changed_at=self._clock.now()))

    def _named(self, key: JobKey) -> str:
        known = self._ledger.jobs.get(key)
        whose = f" of {known.job.user}" if known else ""
        return f"job {key.job_id}{whose}"


def budget_words(found: Standing) -> str:
    """How a job stands with its budget, in a sentence."""
    if not found.used.metered:
        used = "nothing of it is metered, and by a guess it is not ended"
    else:
        used = f"{format_mass(found.used.mg)} used so far"
        if found.used.unknown_j:
            unknown = format_energy(found.used.unknown_j)
            used += f", and {unknown} that cannot be priced and are not counted"
    words = f"Budget {format_mass(found.budget_mg)}: {used}"
    if found.predicted_mg is not None:
        words += f", {format_mass(found.predicted_mg)} expected in all"
    return words
