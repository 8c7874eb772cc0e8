"""What is left of a job if it went on under another GPU power limit, or on other nodes.

The rest of the job, its prediction less what it has taken so far, is multiplied by the ratios of
epochs (:mod:`carbonsched.prediction.conditions`), what it does outside epochs too. With a ratio r
whose 90 % interval reaches a factor of exp(w) either way, and a rest of m between l and h,

    centre = r m,   ends = r m exp(-sqrt(ln(m / l)^2 + w^2)) and r m exp(sqrt(ln(h / m)^2 + w^2))

since doubts of the rest and of the ratio have nothing to do with one another.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from carbonsched.errors import ClusterError, RequestError
from carbonsched.ledger import Ledger
from carbonsched.model.job import Job
from carbonsched.prediction.conditions import SAME, Factor, Ratio
from carbonsched.services.conditions import Asked, KnownConditions, words
from carbonsched.services.grid import Grid
from carbonsched.services.managed import ManagedCluster
from carbonsched.services.settle import SettleJobs
from carbonsched.units import emissions_mg, to_mg

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """An amount with its 90 % interval."""

    low: int
    centre: int
    high: int

    def less(self, spent: int) -> Span:
        """What is left of it."""
        return Span(*(max(0, value - spent) for value in (self.low, self.centre, self.high)))

    def times(self, factor: Factor) -> Span:
        """As this module says; of a centre above 0."""
        if factor == SAME.time:
            return self
        centre = self.centre * factor.times
        down = math.hypot(math.log(self.centre / self.low), factor.half_width) if self.low else None
        up = math.hypot(math.log(self.high / self.centre), factor.half_width)
        return Span(
            low=0 if down is None else math.floor(centre * math.exp(-down)),
            centre=round(centre),
            high=math.ceil(centre * math.exp(up)),
        )


@dataclass(frozen=True, slots=True)
class _Left:
    duration_s: Span
    energy_j: Span


class Otherwise:
    """Answers one question for jobs of one cluster."""

    def __init__(
        self,
        ledger: Ledger,
        grid: Grid,
        settle: SettleJobs,
        managed: ManagedCluster,
        asked: Asked,
        now: int,
    ) -> None:
        self._ledger = ledger
        self._grid = grid
        self._settle = settle
        self._managed = managed
        self._asked = asked
        self._now = now
        self._known = KnownConditions(ledger, managed, now)

    def row(self, job: Job, begin_at: int | None) -> Row:
        """The rest of a job, as it is and as asked; or ``why`` that is not known.

        ``begin_at`` is when one that waits is to begin, ``None`` for at once.
        """
        try:
            here = self._known.here(job)
            there = self._known.there(here, self._asked)
            ratio = self._known.ratio(job, here, there)
            left = self._left(job)
        except RequestError as error:
            return _unknown(str(error))
        except ClusterError as error:
            return _unknown(f"cluster {self._managed.name} does not answer: {error}")
        changed = _Left(left.duration_s.times(ratio.time), left.energy_j.times(ratio.energy))
        from_at = max(begin_at or 0, self._now)
        whole_s = self._spent_s(job) + changed.duration_s.centre
        return {
            "why": "",
            "here": words(here),
            "there": words(there),
            "by": _by(ratio),
            "jobs": ratio.jobs,
            "time_ratio": ratio.time.times,
            "energy_ratio": ratio.energy.times,
            "beyond_limit": job.time_limit_s is not None and whole_s > job.time_limit_s,
            "left": self._figures(job, left, from_at),
            "changed": self._figures(job, changed, from_at),
        }

    def _left(self, job: Job) -> _Left:
        """The prediction less what the run has taken, as far as that is metered."""
        prediction = self._ledger.plans.prediction(job.key)
        if prediction is None:
            raise RequestError(f"nothing is predicted of job {job.shown_id} yet")
        used_j = 0
        if job.started_at is not None:
            used_j = sum(one.energy_j for one in self._settle.readings(job))
        duration = Span(
            prediction.duration_low_s, prediction.duration_s, prediction.duration_high_s
        ).less(self._spent_s(job))
        energy = Span(prediction.energy_low_j, prediction.energy_j, prediction.energy_high_j).less(
            used_j
        )
        if not duration.centre or not energy.centre:
            raise RequestError(f"by its prediction nothing is left of job {job.shown_id}")
        return _Left(duration, energy)

    def _spent_s(self, job: Job) -> int:
        return 0 if job.started_at is None else max(0, self._now - job.started_at)

    def _figures(self, job: Job, left: _Left, from_at: int) -> Row:
        """With its mass at what is expected of the grid meanwhile, of all tasks of an array."""
        end_at = from_at + max(1, left.duration_s.centre)
        ahead = self._grid.expected(self._managed.zone, from_at, end_at, self._now)

        def mg(energy_j: int) -> int | None:
            if ahead is None:
                return None
            exact = emissions_mg(energy_j, self._managed.pue_ppm, 1) * ahead.mean_mg_per_kwh
            return to_mg(exact * job.tasks)

        return {
            **_named("duration", "_s", left.duration_s),
            **_named("energy", "_j", left.energy_j),
            "mg": mg(left.energy_j.centre),
            "mg_low": mg(left.energy_j.low),
            "mg_high": mg(left.energy_j.high),
        }


def _named(what: str, unit: str, span: Span) -> Row:
    return {
        f"{what}{'' if end == 'centre' else f'_{end}'}{unit}": value
        for end, value in asdict(span).items()
    }


def _unknown(why: str) -> Row:
    nothing = dict.fromkeys(
        ("here", "there", "by", "jobs", "time_ratio", "energy_ratio", "left", "changed")
    )
    return {**nothing, "why": why, "beyond_limit": False}


def _by(ratio: Ratio) -> str:
    """Whose word it is."""
    if not ratio.jobs:
        return "it runs so already"
    count = f"{ratio.jobs} job{'' if ratio.jobs == 1 else 's'}"
    whose = " of its name" if ratio.own else ""
    return f"by {count}{whose} that ran at {'limits around them' if ratio.between else 'both'}"
