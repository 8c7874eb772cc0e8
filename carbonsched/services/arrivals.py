"""The work that jobs will bring which nobody has submitted yet, by what came in past weeks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.directives import Directives
from carbonsched.model.spread import Spread
from carbonsched.planning import DelayPolicy, Expected, Usual, bounds, expected_by_hour
from carbonsched.prediction.arrivals import Arrivals
from carbonsched.services.learning import Learning

WEEKS_S = 28 * 86_400
MOST_JOBS = 20_000
AGAIN_AFTER_S = 3600
_AHEAD_H = 36
_LIKE = 500
"""So many of the newest jobs stand for those to come: how long, how much power, what delay."""
_POINTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Came:
    """A job that came and could wait: CPU seconds, as far as they are known, and its size."""

    known: KnownJob
    at: int
    cpus: int
    length: Spread
    delay_s: int

    @property
    def work(self) -> float:
        return self.cpus * self.length.mean_s


class ExpectedWork:
    """Learnt by cluster from the submissions that carried our mark and could wait."""

    def __init__(self, ledger: Ledger, learning: Learning, policy: DelayPolicy) -> None:
        self._ledger = ledger
        self._learning = learning
        self._policy = policy
        self._usual: dict[str, tuple[int, tuple[Arrivals, Usual] | None]] = {}

    def of(self, cluster: str, now: int) -> tuple[Expected, ...]:
        """One for each of the next 36 hours in which anything is expected; learns each hour."""
        learnt_at, usual = self._usual.get(cluster, (None, None))
        if learnt_at is None or now - learnt_at >= AGAIN_AFTER_S:
            usual = self._learn(cluster, now)
            self._usual[cluster] = now, usual
        if usual is None:
            return ()
        arrivals, like = usual
        work = map(float, arrivals.expected(now, _AHEAD_H))
        return expected_by_hour(now, work, like, (cluster,))

    def _learn(self, cluster: str, now: int) -> tuple[Arrivals, Usual] | None:
        newest = self._ledger.jobs.marked(cluster, now - WEEKS_S, MOST_JOBS)
        came = [one for known in reversed(newest) if (one := self._came(known)) is not None]
        like = came[-_LIKE:]
        watts_per_cpu = self._watts_per_cpu(like)
        if not watts_per_cpu:
            return None
        arrivals = Arrivals()
        for one in came:
            arrivals.submitted(one.at, one.work)
        work = sum(one.work for one in like)
        length = Spread.mixture((one.length, one.cpus) for one in like)
        return arrivals, Usual(
            length=length.condensed(_POINTS),
            watts_per_cpu=watts_per_cpu,
            delay_s=sum(one.work * one.delay_s for one in like) / work,
        )

    def _came(self, known: KnownJob) -> _Came | None:
        """A submission as it was; ``None`` where it could not wait, or was never to run."""
        job = known.job
        length = self._learning.length(job)
        if job.ended_at is not None:
            ran_s = job.ended_at - job.started_at if job.started_at is not None else 0
            length = Spread.exactly(ran_s) if ran_s > 0 else None
        submitted_at = job.key.submitted_at
        waited = replace(job, state="PENDING", started_at=None, ended_at=None)
        directives = known.directives or Directives(start_now=True)
        within = bounds(waited, directives, self._policy, submitted_at, known.begin_at)
        if length is None or not within.deferrable:
            return None
        return _Came(
            known=known,
            at=submitted_at,
            cpus=job.cpus * job.tasks,
            length=length,
            delay_s=within.latest_at - submitted_at,
        )

    def _watts_per_cpu(self, like: Iterable[_Came]) -> float | None:
        """By their predictions, weighed by work; ``None`` where there are none."""
        total_w, work = 0.0, 0.0
        for one in like:
            prediction = self._ledger.plans.prediction(one.known.job.key)
            if prediction is not None:
                watts = prediction.energy_j / prediction.duration_s / one.known.job.cpus
                total_w += watts * one.work
                work += one.work
        return total_w / work if work else None
