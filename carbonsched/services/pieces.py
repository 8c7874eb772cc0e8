"""Jobs that run in pieces: what of their work is done, what is left, how long they may still wait.

A job that we stopped goes on as another run, with a submission of its own in Slurm. Its bounds
count from its first submission, and what it has run counts as no waiting. A requeue that somebody
else made is not ours to interpret: such a run begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.directives import Directives
from carbonsched.model.job import Job, JobKey
from carbonsched.model.plan import Plan
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.model.spread import Spread
from carbonsched.model.stop import Stop, StopState
from carbonsched.planning import Bounds, DelayPolicy, Pausable, PlanningJob, bounds
from carbonsched.prediction import rest_of
from carbonsched.services.learning import Learning
from carbonsched.services.stop_cost import StopCosts


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPolicy:
    """What the site lets us do with running jobs that write checkpoints; see its configuration.

    ``cost_s`` is the least that a stop costs.
    """

    enabled: bool
    signal: str
    grace_s: int
    cost_s: int
    least_run_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopWorth:
    """Milligrams of what is left of a running job: if it just goes on, and what a stop saves.

    The cost of the stop is taken off; less than 0 is a loss.
    """

    going_on_mg: float
    saved_mg: int


class Pieces:
    """Where each job stands that runs in pieces, or may."""

    def __init__(
        self, ledger: Ledger, learning: Learning, delays: DelayPolicy, policy: StopPolicy
    ) -> None:
        self._ledger = ledger
        self._learning = learning
        self._delays = delays
        self._policy = policy
        self._costs = StopCosts(ledger, policy.cost_s)

    def stop_cost_s(self, known: KnownJob) -> int | None:
        """What each stop costs a job that may be stopped, ``None`` of any other."""
        return self._costs.of_next(known.job) if self.stoppable(known) else None

    def stoppable(self, known: KnownJob) -> bool:
        """Whether a job may be stopped when it runs, as far as its owner and the site go."""
        asked = known.directives is not None and known.directives.checkpoint
        whole = known.job.array_job_id is None and known.job.het_job_id is None
        return self._policy.enabled and asked and whole

    def asked(self, known: KnownJob) -> Directives | None:
        """What its owner asks of this run: one that goes on after a stop is no pilot any more."""
        asked = known.directives
        if asked is None or not asked.pilot or self.before(known.job.key) is None:
            return asked
        return replace(asked, pilot=False)

    def before(self, key: JobKey) -> Stop | None:
        """The stop of ours after which this run goes on."""
        return self._ledger.stops.before(key)

    def as_bounded(self, job: Job) -> Job:
        """The job as its bounds are to see it: submitted first, with the rest of its limit."""
        before = self.before(job.key)
        if before is None:
            return job
        return self._as_bounded(job, before)

    def length(self, job: Job, now: int) -> Spread | None:
        """How long a waiting run may be: what is left of its job, and the cost of the stop."""
        before = self.before(job.key)
        if before is None or not job.time_limit_s:
            return self._learning.length(job)
        if _by_epochs(self._ledger.plans.prediction(before.key)):
            return Spread.exactly(before.left_s + self._costs.of(before))
        left = self._learning.left(job, None, now - before.done_s, now)
        return None if left is None else left.longer(self._costs.of(before))

    def left(self, job: Job, prediction: Prediction | None, now: int) -> Spread | None:
        """How much longer a running job may run."""
        if job.started_at is None:
            return None
        by_runs = job.time_limit_s and not _by_epochs(prediction)
        before = self.before(job.key) if by_runs else None
        # Predictions are of this run; what was learnt from others is of whole jobs.
        done_s = 0 if before is None else before.done_s - self._costs.of(before)
        return self._learning.left(job, prediction, job.started_at - done_s, now)

    def pausable(self, open_jobs: Iterable[KnownJob], now: int) -> tuple[Pausable, ...]:
        """The running jobs that may be stopped."""
        found = (self._pausable(known, now) for known in open_jobs if self._may_stop(known, now))
        return tuple(one for one in found if one is not None)

    def stopped(self, known: KnownJob, now: int) -> PlanningJob | None:
        """What is left of a running job, as it would wait if it were stopped now."""
        job, prediction = known.job, self._ledger.plans.prediction(known.job.key)
        left = self.left(job, prediction, now)
        if prediction is None or left is None:
            return None
        stop = self.stop(known, now)
        cost_s = self._costs.of(stop)
        return PlanningJob(
            key=job.key,
            cpus=job.cpus,
            bounds=self._bounds(known, stop, now),
            prediction=rest_of(prediction, stop.left_s, cost_s),
            length=left.longer(cost_s),
            user=job.user,
            stop_cost_s=cost_s,
        )

    def worth(self, known: KnownJob, stopped: Plan, now: int) -> StopWorth | None:
        """What stopping a running job would save, of the plan of its rest had it been stopped.

        That plan's baseline is the rest and the cost of the stop from now on. ``None`` where masses
        are not known, or the rest would run in pieces, each of which saves by itself.
        """
        left = self.left(known.job, self._ledger.plans.prediction(known.job.key), now)
        baseline_mg, stopped_mg = stopped.baseline_mg, stopped.expected_mg
        if left is None or baseline_mg is None or stopped_mg is None or stopped.in_pieces:
            return None
        going_on_mg = baseline_mg * left.mean_s / (left.mean_s + self._costs.of_next(known.job))
        return StopWorth(going_on_mg=going_on_mg, saved_mg=round(going_on_mg - stopped_mg))

    def stop(self, known: KnownJob, now: int) -> Stop:
        """The stop of a running job that begins now."""
        job = known.job
        left = self.left(job, self._ledger.plans.prediction(job.key), now)
        first_at, done_s = self._work(job, now)
        return Stop(
            key=job.key,
            at=now,
            state=StopState.SIGNALLING,
            changed_at=now,
            first_submitted_at=first_at,
            done_s=done_s,
            left_s=1 if left is None else max(1, round(left.mean_s)),
            cost_s=self._costs.of_next(job),
        )

    def _may_stop(self, known: KnownJob, now: int) -> bool:
        job = known.job
        return (
            self.stoppable(known)
            and job.state == "RUNNING"
            and job.started_at is not None
            and self._has_run_enough(known, now - job.started_at)
            and self._ledger.stops.of(job.key) is None
            and not self._ledger.budgets.ending(job.key)
        )

    def _has_run_enough(self, known: KnownJob, ran_s: int) -> bool:
        """Whether a run has lasted its least time; a pilot's lasts until it is decided on.

        Its first epoch decides, however early or late that is complete: before it nothing is known,
        and stopped within it what it has done of it may be lost.
        """
        asked = self.asked(known)
        if asked is None or not asked.pilot:
            return ran_s >= self._policy.least_run_s
        if not _by_epochs(self._ledger.plans.prediction(known.job.key)):
            return False
        decided = self._ledger.pilots.of(known.job.key) is not None
        return not decided or ran_s >= self._policy.least_run_s

    def _pausable(self, known: KnownJob, now: int) -> Pausable | None:
        job = known.job
        prediction = self._ledger.plans.prediction(job.key)
        left = self.left(job, prediction, now)
        slack_s = self.slack_s(known, now)
        if prediction is None or left is None or slack_s <= 0:
            return None
        return Pausable(
            key=job.key,
            cluster=job.key.cluster,
            cpus=job.cpus,
            watts=prediction.energy_j / prediction.duration_s,
            left=left,
            slack_s=slack_s,
            cost_s=self._costs.of_next(job),
        )

    def slack_s(self, known: KnownJob, now: int) -> int:
        """How much longer it may wait if it is stopped now; it waits once the grace is over."""
        within = self._bounds(known, self.stop(known, now), now)
        return within.latest_at - within.earliest_at if within.deferrable else 0

    def _bounds(self, known: KnownJob, stop: Stop, now: int) -> Bounds:
        asked = replace(known.directives or Directives(start_now=True), pilot=False)
        waiting = replace(known.job, state="PENDING", started_at=None)
        seen = self._as_bounded(waiting, stop)
        return bounds(seen, asked, self._delays, now, now + self._policy.grace_s)

    def _work(self, job: Job, now: int) -> tuple[int, int]:
        """When a running job was first submitted, and how many seconds of its work are done."""
        ran_s = max(0, now - (job.started_at or now))
        before = self.before(job.key)
        if before is None:
            return job.key.submitted_at, ran_s
        return before.first_submitted_at, before.done_s + max(0, ran_s - self._costs.of(before))

    def _as_bounded(self, job: Job, stop: Stop) -> Job:
        gained_s, limit_s = stop.done_s - self._costs.of(stop), job.time_limit_s
        return replace(
            job,
            key=replace(job.key, submitted_at=stop.first_submitted_at + gained_s),
            time_limit_s=limit_s if limit_s is None else max(1, limit_s - gained_s),
        )


def _by_epochs(prediction: Prediction | None) -> bool:
    return prediction is not None and prediction.source is PredictionSource.EPOCHS
