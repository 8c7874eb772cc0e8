"""The work that jobs will bring which nobody has submitted yet, by what came in past weeks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.directives import Directives
from carbonsched.model.spread import Spread
from carbonsched.planning import DelayPolicy, Expected, Place, bounds
from carbonsched.prediction.arrivals import Arrivals
from carbonsched.services.learning import Learning

WEEKS_S = 28 * 86_400
MOST_JOBS = 20_000
AGAIN_AFTER_S = 3600
_AHEAD_H = 36
_LIKE = 500
"""So many of the newest jobs stand for those to come: how long, how much power, what delay."""
_POINTS = 64
_HOUR_S = 3600


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Usual:
    """What comes by hour, and what a CPU of it is like."""

    arrivals: Arrivals
    length: Spread
    watts_per_cpu: float
    delay_s: float


class ExpectedWork:
    """Learnt by cluster from the submissions that carried our mark and could wait."""

    def __init__(self, ledger: Ledger, learning: Learning, policy: DelayPolicy) -> None:
        self._ledger = ledger
        self._learning = learning
        self._policy = policy
        self._usual: dict[str, tuple[int, _Usual | None]] = {}

    def of(self, cluster: str, now: int) -> tuple[Expected, ...]:
        """One for each of the next 36 hours in which anything is expected; learns each hour."""
        learnt_at, usual = self._usual.get(cluster, (None, None))
        if learnt_at is None or now - learnt_at >= AGAIN_AFTER_S:
            usual = self._learn(cluster, now)
            self._usual[cluster] = now, usual
        if usual is None:
            return ()
        found = []
        for hour, cpu_s in enumerate(usual.arrivals.expected(now, _AHEAD_H)):
            cpus = float(cpu_s) / usual.length.mean_s
            if cpus <= 0:
                continue
            begins_at = now + hour * _HOUR_S
            place = Place(
                cluster=cluster, cpus=cpus, watts=usual.watts_per_cpu * cpus, length=usual.length
            )
            # Those that come in an hour come in its middle; of their delay some is for the queue.
            wait_s = max(_HOUR_S, int(usual.delay_s * 15 / 16))
            found.append(
                Expected(
                    places=(place,), first_at=begins_at + _HOUR_S // 2, last_at=begins_at + wait_s
                )
            )
        return tuple(found)

    def _learn(self, cluster: str, now: int) -> _Usual | None:
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
        return _Usual(
            arrivals=arrivals,
            length=mixed([(one.length, one.cpus) for one in like]),
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


def mixed(lengths: Sequence[tuple[Spread, float]]) -> Spread:
    """A run time that is one of these, by their weights; as few points, with the same mean."""
    pairs = sorted(
        (seconds, weight * share / sum(one.weights))
        for one, weight in lengths
        for seconds, share in zip(one.seconds, one.weights, strict=True)
    )
    if len(pairs) <= _POINTS:
        return Spread(tuple(one for one, _ in pairs), tuple(weight for _, weight in pairs))
    upto = list(accumulate(weight for _, weight in pairs))
    sums: dict[int, tuple[float, float]] = {}
    for (seconds, weight), until in zip(pairs, upto, strict=True):
        number = min(_POINTS - 1, int(_POINTS * (until - weight / 2) / upto[-1]))
        before_s, before = sums.get(number, (0.0, 0.0))
        sums[number] = before_s + seconds * weight, before + weight
    return Spread(
        tuple(total_s / weight for total_s, weight in sums.values()),
        tuple(weight for _, weight in sums.values()),
    )
