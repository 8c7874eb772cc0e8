"""Everything the planner may know, in one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from carbonsched.model.intensity import Forecast
from carbonsched.model.job import JobKey
from carbonsched.model.prediction import Prediction
from carbonsched.model.spread import Spread
from carbonsched.planning.bounds import Bounds
from carbonsched.planning.lengths import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningParameters:
    """The site's choices: slots, and what a deferral must save to be worth it.

    Starts are chosen on slots of ``slot_s`` within ``horizon_s``. A deferral must reach both
    minima: ``minimum_gain_pct`` per cent of the emissions of an immediate start, and
    ``minimum_gain_mg``.
    """

    slot_s: int = 900
    horizon_s: int = 56 * 3600
    minimum_gain_pct: float = 5.0
    minimum_gain_mg: int = 0

    def __post_init__(self) -> None:
        if self.slot_s < 1:
            raise ValueError("a planning slot lasts at least a second")
        if self.horizon_s < 3600:
            raise ValueError("a plan looks at least an hour ahead")
        if self.minimum_gain_pct < 0 or self.minimum_gain_mg < 0:
            raise ValueError("a minimum gain is not negative")

    def needed_mg(self, now_mg: float) -> float:
        """What a deferral must save of a job that would emit ``now_mg`` at once."""
        return max(self.minimum_gain_mg, self.minimum_gain_pct / 100 * now_mg)

    @property
    def price_slot_s(self) -> int:
        """Prices are by half-hours, by slots where time is compressed; they hold for as long."""
        return 1800 if self.slot_s >= 60 else self.slot_s


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaHold:
    """The budget is used up: the job starts at ``until_at``; ``text`` tells its owner why."""

    until_at: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cluster on which a job may run: what it takes and draws there (before PUE), how long.

    ``cpus`` is a fraction where it stands for jobs that are only expected.
    """

    cluster: str
    cpus: float
    watts: float
    length: Spread


@dataclass(frozen=True, kw_only=True)
class PlanningJob:
    """One waiting job, or a pending array as one.

    ``cpus`` is what it takes while it runs: all of a pending array's tasks together. ``length`` is
    the spread of run times where more is known of them than the prediction's duration.
    ``elsewhere`` are other clusters that it may still go to. ``planned_start_at`` is the start of a
    standing deferral, ``None`` where there is none; ``released`` that an earlier plan has let it
    into the queue. ``stop_cost_s`` is the extra run time of each interruption of a job that can be
    checkpointed, ``None`` of any other.
    """

    key: JobKey
    cpus: int
    bounds: Bounds
    prediction: Prediction | None = None
    length: Spread | None = None
    elsewhere: tuple[Place, ...] = ()
    user: str = ""
    planned_start_at: int | None = None
    released: bool = False
    stop_cost_s: int | None = None
    quota: QuotaHold | None = None

    def __post_init__(self) -> None:
        if self.cpus < 0:
            raise ValueError("a job takes no negative number of CPUs")

    def floor_at(self, now: int) -> int:
        """The first instant at which it could start: now, or its owner's own begin time."""
        return max(now, self.bounds.earliest_at)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Its own cluster first; empty where nothing tells how long it will run.

        Over its mean length it takes the energy that is predicted, whatever lengths are possible.
        """
        known = self.prediction
        if known is None:
            return ()
        length = self.length or Spread.exactly(known.duration_s)
        own = Place(
            cluster=self.key.cluster,
            cpus=self.cpus,
            watts=known.energy_j / length.mean_s,
            length=length,
        )
        return (own, *self.elsewhere)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pausable:
    """A running job that may be requeued and go on later, at ``cost_s`` more of running each time.

    It may wait ``slack_s`` more, all in all.
    """

    key: JobKey
    cluster: str
    cpus: int
    watts: float
    left: Spread
    slack_s: int
    cost_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """CPUs that are held until ``until_at`` or for what is ``left``; neither: no end is known."""

    cpus: int
    until_at: int | None = None
    left: Spread | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """CPUs that are not ours in ``[start_at, end_at)``: a reservation, a maintenance."""

    cpus: int
    start_at: int
    end_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Jobs that nobody has submitted yet, as one that takes as much: it may start in between."""

    places: tuple[Place, ...]
    first_at: int
    last_at: int


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
    reserved: tuple[Reserved, ...] = ()
    ranking: Forecast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a CPU was worth by cluster and slot of prices, in the plan of ``made_at``."""

    made_at: int
    by_cluster: Mapping[str, Floats] = field(hash=False)

    def hold(self, now: int, parameters: PlanningParameters) -> bool:
        """Whether they are still those of ``now``, so that nobody need bid."""
        return now - self.made_at < parameters.price_slot_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningRequest:
    """What is known at ``now``; the order of jobs and clusters does not matter.

    ``before`` are the prices of the plan before: they hold for a slot of prices.
    """

    now: int
    parameters: PlanningParameters
    clusters: tuple[ClusterState, ...]
    jobs: tuple[PlanningJob, ...]
    pausable: tuple[Pausable, ...] = ()
    expected: tuple[Expected, ...] = ()
    before: Prices | None = None

    def __post_init__(self) -> None:
        names = [cluster.name for cluster in self.clusters]
        if len(set(names)) != len(names):
            raise ValueError("a cluster appears twice in a planning request")
        keys = [job.key for job in self.jobs]
        if len(set(keys)) != len(keys):
            raise ValueError("a job appears twice in a planning request")
        used = {key.cluster for key in keys}
        used |= {place.cluster for job in self.jobs for place in job.elsewhere}
        if strangers := used - set(names):
            raise ValueError(
                f"a job waits on {min(strangers)}, which the request does not describe"
            )
