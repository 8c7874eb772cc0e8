"""Settling: readings priced with the grid's intensity, charged once, reservations let go."""

from __future__ import annotations

from collections import defaultdict

from carbonsched.accounting import (
    PricedSegment,
    charge_delta,
    covered_in_full,
    current_period,
    job_charge,
    period,
    quality_of,
    saved_mg,
)
from carbonsched.ledger import Ledger
from carbonsched.ledger.entries import Settlement
from carbonsched.ledger.jobs import KnownJob
from carbonsched.ledger.readings import JobReading
from carbonsched.model.energy import Domain, Quality
from carbonsched.model.entry import EntryKind, LedgerEntry
from carbonsched.model.intensity import StepSeries
from carbonsched.model.job import Job
from carbonsched.ports import Clock, PueValue
from carbonsched.services.claims import Claims
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.predict import PredictJobs
from carbonsched.services.presence import EPILOG_S, Presence
from carbonsched.services.pricing import Priced, Pricing
from carbonsched.services.quotas import Quotas
from carbonsched.services.why import why

METHOD = "settle/2"
RESERVATION_SLACK = 0.02
"""By what share of a job's mass its reservation may be off before the ledger gets another entry.

It follows each refined prediction and each charge, and would be changed at every look otherwise."""
CLOSE_AFTER_S = 7 * 86_400
"""How long after its end a month still takes its own charges; later ones go to the current."""


class SettleJobs:
    """Charges every job that has started and is not final."""

    def __init__(
        self,
        clusters: Clusters,
        ledger: Ledger,
        grid: Grid,
        predict: PredictJobs,
        quotas: Quotas,
        presence: Presence,
        clock: Clock,
        time_zone: str,
        missing_after_s: int,
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._grid = grid
        self._predict = predict
        self._quotas = quotas
        self._presence = presence
        self._clock = clock
        self._time_zone = time_zone
        self._missing_after_s = missing_after_s
        self._claims = Claims(ledger, clock)
        self._pricing = Pricing(grid, clock)

    def run(self) -> str:
        """Settle what can be settled now."""
        settled = final = 0
        for managed in self._clusters:
            for known in self._ledger.jobs.unsettled(managed.name, self._clock.now()):
                with self._ledger.transaction():
                    settled += 1
                    final += self._settle(managed, known)
        self._release_those_that_never_ran()
        return f"{settled} jobs settled, {final} of them final"

    def priced(self, managed: ManagedCluster, readings: list[JobReading]) -> Priced:
        """Readings with the intensity and PUE that count for them now."""
        return self._pricing.priced(managed, readings)

    def readings(self, job: Job, after: int = 0) -> list[JobReading]:
        """A job's readings behind a part's number, cut to its time by Slurm's record."""
        return self._claims.of(job, after)

    def _settle(self, managed: ManagedCluster, known: KnownJob) -> bool:
        job, now = known.job, self._clock.now()
        last_part = self._ledger.readings.last_part()
        readings = self.readings(job)
        priced = self.priced(managed, readings)
        charged_mg = self._charge(job, priced, now)
        quality, coverage, whole = _coverage(job, readings)
        complete = job.ended and self._all_is_in(job, now, whole=whole) and not priced.unpriced
        settles_at = self._grid.settles_at(priced.pieces)
        final = complete and settles_at <= now
        baseline_at, saved = self._saved(managed, job, priced, charged_mg, now)
        static = any(piece.info.static for piece in priced.pieces)
        self._ledger.entries.save_settlement(
            Settlement(
                key=job.key,
                settled_at=now,
                energy_j=sum(one.energy_j for one in readings) if readings else None,
                mg=charged_mg if priced.segments else None,
                quality=quality,
                coverage=coverage if readings and job.ended else None,
                provisional=not final or static,
                final=final,
                mg_per_kwh=priced.mean_mg_per_kwh,
                pue_ppm=priced.pue_ppm,
                sources=_sources(priced, readings),
                saved_mg=saved,
                baseline_at=baseline_at,
                cpu_ms=sum(one.cpu_ms for one in readings),
                embodied_mg=self._pricing.embodied_mg(managed, readings),
                uncertainty_j=sum(one.uncertainty_j for one in readings),
                domains=_domains(readings),
                pue_source="; ".join(priced.pue_sources),
                why=why(job, readings, quality, coverage),
                method=METHOD,
                complete=complete,
                due_at=settles_at if complete else 0,
                exact_mg=job_charge(priced.segments),
                priced_j=priced.energy_j,
                last_part=last_part,
            )
        )
        self._update_reservation(job, charged_mg, now, complete=complete)
        return final

    def _all_is_in(self, job: Job, now: int, *, whole: bool) -> bool:
        """Whether nothing more is awaited: readings are whole, or it is too late for others.

        While a node believes the job present although it has ended, the epilog is under way or
        missing, and it is waited for until the node has been told.
        """
        believed = self._presence.believed(job)
        wait_s = self._missing_after_s + (EPILOG_S if believed else 0)
        late = job.ended_at is not None and now >= job.ended_at + wait_s
        return late or (whole and not believed)

    def _charge(self, job: Job, priced: Priced, now: int) -> int:
        """Post what makes the job's entries equal its exact charge, month by month."""
        by_month: dict[str, list[PricedSegment]] = defaultdict(list)
        for segment in priced.segments:
            by_month[current_period(segment.start_at, self._time_zone).name].append(segment)
        before = self._ledger.entries.charged(job.key)
        total_mg = 0
        for month in sorted({*by_month, *before}):
            segments = by_month.get(month, [])
            exact = job_charge(segments)
            mg, energy_j, entries = before.get(month, (0, 0, 0))
            change_mg = charge_delta(exact, mg)
            change_j = sum(segment.energy_j for segment in segments) - energy_j
            total_mg += mg + change_mg
            if change_mg or change_j:
                self._post(job, month, change_mg, change_j, entries, priced, now)
        return total_mg

    def _post(
        self, job: Job, month: str, mg: int, energy_j: int, entries: int, priced: Priced, now: int
    ) -> None:
        closed = now >= period(month, self._time_zone).end_at + CLOSE_AFTER_S
        posted_in = current_period(now, self._time_zone).name if closed else month
        kind = EntryKind.ADJUST if closed or energy_j == 0 else EntryKind.CHARGE
        entry = LedgerEntry(
            kind=kind,
            key=job.key,
            user=job.user,
            account=job.account,
            period=posted_in,
            at=now,
            mg=mg,
            energy_j=energy_j,
            idempotency_key=f"charge:{job.key}:{month}:{entries}",
            provenance={
                "method": METHOD,
                "intensity": sorted({piece.info.label for piece in priced.pieces}),
                "pue_ppm": priced.pue_ppm or None,
                "pue": list(priced.pue_sources),
            },
        )
        self._ledger.entries.post(entry, origin=month)

    def _saved(
        self, managed: ManagedCluster, job: Job, priced: Priced, charged_mg: int, now: int
    ) -> tuple[int | None, int | None]:
        """When the job could have started, and what waiting saved, for jobs that we deferred."""
        first = self._ledger.plans.first_plan(job.key)
        baseline_at = first.baseline_at if first else None
        deferred = self._ledger.plans.deferral(job.key) is not None
        if not deferred or baseline_at is None or job.started_at is None or job.ended_at is None:
            return baseline_at, None
        elapsed_s = job.ended_at - job.started_at
        if elapsed_s <= 0 or priced.unpriced or not priced.segments:
            return baseline_at, None
        pieces = self._grid.actual(managed.zone, baseline_at, baseline_at + elapsed_s, now)
        pue = managed.pue.within(baseline_at, baseline_at + elapsed_s)
        saved = saved_mg(
            energy_j=priced.energy_j,
            baseline_at=baseline_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            actual=StepSeries(tuple(piece.point for piece in pieces)),
            pue=lambda start_at, end_at: _ppm(pue.over(start_at, end_at)),
            charged_mg=charged_mg,
        )
        return baseline_at, saved

    def _update_reservation(self, job: Job, charged_mg: int, now: int, *, complete: bool) -> None:
        """What is predicted and not yet charged stays reserved until all that it used is priced."""
        prediction = self._ledger.plans.prediction(job.key)
        wanted_mg = slack_mg = 0
        if not complete and prediction is not None and job.started_at is not None:
            mass = self._predict.mass(job, prediction, job.started_at)
            if mass is not None:
                wanted_mg = max(0, mass.mg - charged_mg)
                slack_mg = round(RESERVATION_SLACK * mass.mg)
        self._quotas.hold_reservation(job, wanted_mg, now, now, slack_mg if wanted_mg else 0)

    def _release_those_that_never_ran(self) -> None:
        """Jobs that were cancelled while they waited give back what they reserved."""
        now = self._clock.now()
        for key in self._ledger.entries.reserving():
            known = self._ledger.jobs.get(key)
            if known is not None and known.job.ended and known.job.started_at is None:
                self._quotas.hold_reservation(known.job, 0, now, now)


def _ppm(value: PueValue | None) -> int | None:
    return value.pue_ppm if value is not None else None


def _reach_the_end(job: Job, readings: list[JobReading]) -> bool:
    """Whether readings reach the job's end on each of its nodes; what comes after reopens it.

    Slurm tells the whole second in which the job ended, so its last reading ends after that. On a
    node that missed the end nothing after that second's begin is the job's.
    """
    if job.ended_at is None:
        return False
    reached = {one.node for one in readings if one.end_at + one.end_lost > job.ended_at}
    return len(reached) >= job.node_count


def _coverage(job: Job, readings: list[JobReading]) -> tuple[Quality, float, bool]:
    """How good a job's energy is, how much is covered, and whether nothing more is to come.

    How much of a job is covered can be told once it has ended.
    """
    elapsed_s = job.ended_at - job.started_at if job.ended_at and job.started_at else 0
    covered = [(one.quality, one.present_ms / 1000) for one in readings]
    quality, coverage = quality_of(elapsed_s, job.node_count, covered)
    if any(one.unclaimed_j or one.end_lost for one in readings):
        quality = Quality.PARTIAL  # what was cut is a guess at when the energy flowed
    whole = covered_in_full(elapsed_s, job.node_count, sum(node_s for _, node_s in covered))
    return quality, coverage, whole and _reach_the_end(job, readings)


def _domains(readings: list[JobReading]) -> dict[Domain, int]:
    """Joules by part of the node: the job's energy, as far as agents tell its parts."""
    sums: dict[Domain, int] = defaultdict(int)
    for reading in readings:
        for domain, energy_j in reading.domains.items():
            sums[domain] += energy_j
    return {domain: sums[domain] for domain in Domain if domain in sums}


def _sources(priced: Priced, readings: list[JobReading]) -> tuple[str, ...]:
    labels = {
        f"{piece.info.label}, estimated" if piece.estimated else piece.info.label
        for piece in priced.pieces
    }
    return (*sorted(labels), *sorted({f"meter: {reading.meter}" for reading in readings}))
