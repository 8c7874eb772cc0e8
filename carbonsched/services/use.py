"""What a job has emitted so far in all its runs: charged, or metered and not yet charged."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from carbonsched.accounting import job_charge
from carbonsched.ledger import Ledger
from carbonsched.model.intensity import StepSeries
from carbonsched.model.job import Job
from carbonsched.ports import Clock
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.settle import SettleJobs
from carbonsched.units import emissions_mg, to_mg


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Milligrams so far, rounded once, and those of them that earlier runs emitted.

    ``unknown_j`` is metered energy that nothing can price. ``metered`` says whether there is any
    reading at all: without one nothing is known.
    """

    mg: int
    before_mg: int
    unknown_j: int
    metered: bool


class Use:
    """Reckons it from the last settlement and the readings since, so that it does not lag behind.

    What is settled is an exact sum, and so is what it becomes with what came later. A revised
    intensity counts from the next settlement on, a minute later.
    """

    def __init__(
        self, clusters: Clusters, ledger: Ledger, grid: Grid, settle: SettleJobs, clock: Clock
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._grid = grid
        self._settle = settle
        self._clock = clock

    def of(self, job: Job) -> Used:
        """All runs of a job up to this one."""
        managed = self._clusters.get(job.key.cluster)
        runs = [*(known.job for known in self._ledger.jobs.earlier_runs(job)), job]
        found = [self._run(managed, run) for run in runs if run.started_at is not None]
        exact = sum((mg for mg, _, _ in found), start=Fraction(0))
        own = found[-1][0] if found and job.started_at is not None else Fraction(0)
        return Used(
            mg=to_mg(exact),
            before_mg=to_mg(exact - own),
            unknown_j=sum(open_j for _, open_j, _ in found),
            metered=any(metered for _, _, metered in found),
        )

    def _run(self, managed: ManagedCluster, run: Job) -> tuple[Fraction, int, bool]:
        """One run: exact milligrams, joules that cannot be priced, whether it has readings."""
        mg, open_j, metered, last_part = self._settled(run)
        readings = self._settle.readings(run, after=last_part)
        priced = self._settle.priced(managed, readings)
        mg += job_charge(priced.segments)
        open_j += sum(one.energy_j for one in readings) - priced.energy_j
        if open_j <= 0:
            return mg, 0, metered or bool(readings)
        now = self._clock.now()
        until_at = max(now if run.ended_at is None else run.ended_at, (run.started_at or now) + 1)
        rate = self._expected(managed.zone, run.started_at or now, until_at)
        if rate is None:
            return mg, open_j, True
        return mg + emissions_mg(open_j, managed.pue_ppm, 1) * rate, 0, True

    def _settled(self, run: Job) -> tuple[Fraction, int, bool, int]:
        """The same as last settled, joules not priced then, and the last part that was counted."""
        found = self._ledger.entries.settlement(run.key)
        if found is None or found.exact_mg is None:
            return Fraction(0), 0, False, 0
        open_j = (found.energy_j or 0) - found.priced_j
        return found.exact_mg, open_j, found.energy_j is not None, found.last_part

    def _expected(self, zone: str, start_at: int, end_at: int) -> Fraction | None:
        """Milligrams a kilowatt-hour that were foretold for a time of which the truth is to come.

        Else the latest that is known; ``None`` where nothing is.
        """
        now = self._clock.now()
        forecast = self._grid.forecast(zone, now)
        if forecast is not None:
            mean = StepSeries(forecast.points).mean(start_at, end_at)
            if mean is not None:
                return mean
        ahead = self._grid.expected(zone, now, now + 1, now)
        return None if ahead is None else ahead.mean_mg_per_kwh
