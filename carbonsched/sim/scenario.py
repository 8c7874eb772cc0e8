"""A scenario folder: clusters, jobs, what the grid did, and what was forecast when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from carbonsched.model.intensity import Forecast, StepSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class SimJob:
    """One job of the trace. ``runtime_s`` is the truth, known only when it has ended.

    ``power_w`` is each node's dynamic power above idle.
    """

    job_id: str
    user: str
    submit_at: int
    nodes: int
    requested_s: int
    runtime_s: int
    max_delay_s: int
    power_w: int
    checkpointable: bool = False
    checkpoint_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimCluster:
    """A cluster in a grid zone."""

    name: str
    zone: str
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All of a folder. ``jobs`` are in the order of submission, as in the file."""

    name: str
    start_at: int
    end_at: int
    clusters: tuple[SimCluster, ...]
    jobs: tuple[SimJob, ...]
    intensity: Mapping[str, StepSeries]
    forecasts: Mapping[str, tuple[Forecast, ...]]

    def forecast(self, zone: str, now: int) -> Forecast | None:
        """The latest forecast of the zone that had been issued by ``now``."""
        issues = self.forecasts.get(zone, ())
        index = bisect_right(issues, now, key=lambda one: one.issued_at)
        return issues[index - 1] if index else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One uninterrupted run of a job in a schedule."""

    job: SimJob
    cluster: SimCluster
    start_at: int
    end_at: int
