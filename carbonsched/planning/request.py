"""Everything the planner may know, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from carbonsched.model.intensity import Forecast
from carbonsched.model.job import JobKey
from carbonsched.model.prediction import Prediction
from carbonsched.planning.bounds import Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningParameters:
    """The site's choices: length of a slot, and what a deferral must save to be worth it.

    A deferral must reach both minima: ``minimum_gain_pct`` per cent of the emissions of an
    immediate start, and ``minimum_gain_mg``.
    """

    slot_s: int = 900
    minimum_gain_pct: float = 5.0
    minimum_gain_mg: int = 0

    def __post_init__(self) -> None:
        if self.slot_s < 1:
            raise ValueError("a planning slot lasts at least a second")
        if self.minimum_gain_pct < 0 or self.minimum_gain_mg < 0:
            raise ValueError("a minimum gain is not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaHold:
    """The budget is used up: the job starts at ``until_at``; ``text`` tells its owner why."""

    until_at: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningJob:
    """One waiting job, or a pending array as one.

    ``cpus`` is what it takes while it runs: all of a pending array's tasks together.
    ``planned_start_at`` is the start of a standing deferral, ``None`` where there is none.
    """

    key: JobKey
    cpus: int
    bounds: Bounds
    prediction: Prediction | None = None
    planned_start_at: int | None = None
    quota: QuotaHold | None = None

    def __post_init__(self) -> None:
        if self.cpus < 0:
            raise ValueError("a job takes no negative number of CPUs")

    def floor_at(self, now: int) -> int:
        """The first instant at which it could start: now, or its owner's own begin time."""
        return max(now, self.bounds.earliest_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """CPUs that running jobs hold until ``until_at``; ``None`` where no end is known."""

    cpus: int
    until_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """A cluster's room, its facility's PUE, and the forecast of its grid zone.

    ``ranking`` is what windows are compared by where the zone has a signal of its own for that,
    perhaps a marginal one; expected masses are always by ``forecast``.
    """

    name: str
    cpus: int
    pue_ppm: int
    forecast: Forecast | None
    busy: tuple[Busy, ...] = ()
    ranking: Forecast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningRequest:
    """What is known at ``now``; the order of jobs and clusters does not matter."""

    now: int
    parameters: PlanningParameters
    clusters: tuple[ClusterState, ...]
    jobs: tuple[PlanningJob, ...]

    def __post_init__(self) -> None:
        names = [cluster.name for cluster in self.clusters]
        if len(set(names)) != len(names):
            raise ValueError("a cluster appears twice in a planning request")
        keys = [job.key for job in self.jobs]
        if len(set(keys)) != len(keys):
            raise ValueError("a job appears twice in a planning request")
        if strangers := {key.cluster for key in keys} - set(names):
            raise ValueError(
                f"a job waits on {min(strangers)}, which the request does not describe"
            )
