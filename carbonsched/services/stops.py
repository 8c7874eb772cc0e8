"""Stopping running jobs that had better go on in a cleaner window: signal, grace, requeue.

Nothing waits in here: each tick does what is due, and each step is in the ledger before it is done,
so that whoever comes after a kill knows what may have happened. A run is told to stop once, however
that goes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from carbonsched.errors import ClusterError, ClusterRefusedError, ClusterUnavailableError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import JobKey
from carbonsched.model.plan import Plan
from carbonsched.model.stop import Stop, StopState
from carbonsched.ports import Clock, Standing
from carbonsched.services.managed import ManagedCluster
from carbonsched.services.moves import Wanted
from carbonsched.services.pieces import Pieces, StopPolicy
from carbonsched.services.stop_steps import OVERDUE_S, Step, next_step, why_not
from carbonsched.units import format_duration, format_mass

MOST = 20
"""How many runs of a cluster are told to stop in one tick: each takes four calls of Slurm."""
_LOGGER = logging.getLogger(__name__)


class StopRuns:
    """Carries out the pauses that plans ask for, at most :data:`MOST` new ones in each tick."""

    def __init__(self, ledger: Ledger, pieces: Pieces, policy: StopPolicy, clock: Clock) -> None:
        self._ledger = ledger
        self._pieces = pieces
        self._policy = policy
        self._clock = clock

    def begin(self, managed: ManagedCluster, wanted: Sequence[Wanted]) -> None:
        """Tell these running jobs to write their checkpoints, first those that save most by it.

        The plans are of what is left of them.
        """
        by_saving = sorted(wanted, key=lambda one: (-(one.plan.saved_mg or 0), one.plan.key))
        for one in by_saving[:MOST]:
            now = self._clock.now()
            begun = self._pieces.stop(one.known, now)
            stop = replace(begun, note=self._expected(one.known, one.plan, begun))
            if not self._done(managed, stop, self._begin):
                return

    def carry_on(self, managed: ManagedCluster) -> None:
        """Take each stop that is under way as far as it can come now."""
        for stop in self._ledger.stops.under_way(managed.name):
            if self._in_its_grace(stop):
                continue
            if not self._done(managed, stop, self._carry_on):
                return

    def _in_its_grace(self, stop: Stop) -> bool:
        """Whether the last look at the queue has it running, and nothing is due: none is asked."""
        known = self._ledger.jobs.get(stop.key)
        running = known is not None and known.job.state == "RUNNING"
        early = self._clock.now() < stop.at + self._policy.grace_s
        return running and early and stop.state is StopState.SIGNALLED

    def _done(
        self, managed: ManagedCluster, stop: Stop, work: Callable[[ManagedCluster, Stop], None]
    ) -> bool:
        """Work on one stop; ``False`` where Slurm does not answer, and the next tick tries again.

        Plans go on without it, and so do the other stops where Slurm will not have this one. An
        answer that cannot be read may be read the next time, when the job has had its signal.
        """
        try:
            work(managed, stop)
        except ClusterUnavailableError as error:
            _LOGGER.warning("cluster %s: stops wait for the next tick: %s", managed.name, error)
            return False
        except ClusterError as error:
            told = self._ledger.stops.of(stop.key) is not None
            late = self._clock.now() > stop.at + self._policy.grace_s + OVERDUE_S
            if told and not late and not isinstance(error, ClusterRefusedError):
                _LOGGER.warning("%s is looked at again: %s", self._named(stop), error)
            else:
                self._leave(stop, str(error))
        return True

    def _begin(self, managed: ManagedCluster, stop: Stop) -> None:
        why = why_not(stop, managed.cluster.standing(stop.key.job_id))
        if why is not None:
            self._leave(stop, why)
            return
        self._ledger.stops.save(stop)
        self._signal(managed, stop)

    def _carry_on(self, managed: ManagedCluster, stop: Stop) -> None:
        standing = managed.cluster.standing(stop.key.job_id)
        policy = self._policy
        found = next_step(stop, standing, self._clock.now(), policy.grace_s, policy.signal)
        match found.step:
            case Step.SIGNAL:
                self._signal(managed, stop)
            case Step.REQUEUE_RUNNING | Step.REQUEUE_ENDED:
                self._requeue(managed, stop, standing if found.step is Step.REQUEUE_ENDED else None)
            case Step.DONE:
                self._save(stop, StopState.REQUEUED)
            case Step.LEAVE:
                self._leave(stop, found.why)
            case Step.WAIT:
                pass

    def _signal(self, managed: ManagedCluster, stop: Stop) -> None:
        managed.cluster.signal(stop.key.job_id, self._policy.signal)
        self._save(replace(stop, at=self._clock.now()), StopState.SIGNALLED)
        _LOGGER.info(
            "%s had better go on in a cleaner window, %s: it is told by %s to write a checkpoint,"
            " and requeued in %s", self._named(stop), stop.note, self._policy.signal,
            format_duration(self._policy.grace_s),
        )  # fmt: skip

    def _requeue(self, managed: ManagedCluster, stop: Stop, ended: Standing | None) -> None:
        self._save(stop, StopState.REQUEUEING)
        managed.cluster.requeue(stop.key.job_id, ended=ended is not None)
        if ended is not None:
            self._keep_end(stop.key, ended)
        _LOGGER.info(
            "%s is stopped and requeued, with %s of its work done: it goes on in a cleaner window",
            self._named(stop), format_duration(stop.done_s),
        )  # fmt: skip

    def _keep_end(self, key: JobKey, ended: Standing) -> None:
        """When the run ended by itself: Slurm's record has the moment of its requeue from now on.

        What was metered would look like less than its whole run.
        """
        known = self._ledger.jobs.get(key)
        if known is None:
            return
        job = replace(known.job, state="REQUEUED", ended_at=ended.ended_at)
        self._ledger.jobs.save(replace(known, job=job))

    def _leave(self, stop: Stop, why: str) -> None:
        self._ledger.stops.save(
            replace(stop, state=StopState.LEFT, changed_at=self._clock.now(), note=why)
        )
        _LOGGER.info("%s is not stopped: %s", self._named(stop), why)

    def _save(self, stop: Stop, state: StopState) -> None:
        self._ledger.stops.save(replace(stop, state=state, changed_at=self._clock.now()))

    def _expected(self, known: KnownJob, plan: Plan, stop: Stop) -> str:
        """What a stop is worth by the plan of what is left, for the log and for people later."""
        at = datetime.fromtimestamp(plan.start_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        worth = self._pieces.worth(known, plan, stop.at)
        if worth is None:
            return f"from about {at} on"
        saved, cost = format_mass(worth.saved_mg), format_duration(stop.cost_s)
        return (
            f"from about {at} on, which is expected to save {saved} after the cost of the stop,"
            f" taken as {cost} of running"
        )

    def _named(self, stop: Stop) -> str:
        known = self._ledger.jobs.get(stop.key)
        whose = f" of {known.job.user}" if known else ""
        return f"job {stop.key.job_id}{whose}"
