"""What people see of jobs: the queue with its plans, and jobs with their figures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from carbonsched.ledger import Ledger
from carbonsched.ledger.entries import Settlement
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import Job
from carbonsched.model.plan import Plan
from carbonsched.model.prediction import Prediction
from carbonsched.ports import Clock
from carbonsched.services.budgets import JobBudgets
from carbonsched.services.conditions import Asked
from carbonsched.services.epoch_logs import EpochLogs
from carbonsched.services.evidence import Evidence
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters
from carbonsched.services.otherwise import Otherwise
from carbonsched.services.predict import PredictJobs
from carbonsched.services.queue_figures import QueueFigures
from carbonsched.services.quotas import Quotas
from carbonsched.services.settle import SettleJobs
from carbonsched.units import PPM

Row = dict[str, Any]


class Views:
    """Rows for csqueue and csacct, from the ledger alone."""

    def __init__(
        self,
        clusters: Clusters,
        ledger: Ledger,
        grid: Grid,
        predict: PredictJobs,
        settle: SettleJobs,
        clock: Clock,
        quotas: Quotas,
        budgets: JobBudgets,
    ) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._grid = grid
        self._predict = predict
        self._settle = settle
        self._evidence = Evidence(clusters, settle)
        self._epoch_logs = EpochLogs(ledger)
        self._clock = clock
        self._quotas = quotas
        self._budgets = budgets

    def queue(self, user: str | None, job_id: int | None = None, asked: Asked | None = None) -> Row:
        """Pending and active jobs of one user, or of everybody; where given, under one job id.

        With what is left of each under the condition that is ``asked`` for.
        """
        now = self._clock.now()
        figures = QueueFigures(self._ledger, self._quotas, self._budgets, now)
        rows: list[Row] = []
        for managed in self._clusters:
            forecast = self._grid.forecast(managed.zone, now)
            label = forecast.info.label if forecast else None
            shown = [
                known
                for known in self._ledger.jobs.open(managed.name)
                if (user is None or known.job.user == user) and _goes_by(known.job, job_id)
            ]
            found = [self._queue_row(known, figures) | {"forecast_label": label} for known in shown]
            if asked is not None:
                other = Otherwise(self._ledger, self._grid, self._settle, managed, asked, now)
                for known, row in zip(shown, found, strict=True):
                    row["otherwise"] = other.row(known.job, row["planned_start_at"])
            rows += found
        return {"now": now, "jobs": rows}

    def jobs(
        self,
        user: str | None,
        job_id: int | None,
        since_at: int,
        until_at: int | None,
        *,
        evidence: bool,
    ) -> Row:
        """Jobs that were there in the interval, with energy and emissions."""
        found = self._ledger.jobs.select(
            user=user, job_id=job_id, since_at=since_at, until_at=until_at
        )
        rows = [self.job_row(known) for known in found]
        if evidence:
            for row, known in zip(rows, found, strict=True):
                row["evidence"] = self._evidence.rows(known)
        return {"now": self._clock.now(), "jobs": rows}

    def epochs(self, user: str | None, job_id: int) -> Row:
        """The epochs that a job marked, over all its nodes and runs."""
        return {"jobs": self._epoch_logs.of(user, job_id)}

    def job_row(self, known: KnownJob) -> Row:
        """One job with its figures as last settled."""
        job = known.job
        settled = self._ledger.entries.settlement(job.key)
        return _identity(job) | {
            "campaign": known.directives.campaign if known.directives else None,
            "started_at": job.started_at,
            "ended_at": job.ended_at,
            "elapsed_s": self._elapsed_s(job),
            "nodes": list(job.nodes),
            "deferred_s": self._deferred_s(job),
            **self._budget_figures(known),
            **_figures(settled),
        }

    def _budget_figures(self, known: KnownJob) -> Row:
        """What its owner gave the job, and whether it was warned or ended for it."""
        case = self._ledger.budgets.of(known.job.key)
        return {
            "budget_mg": known.directives.budget_mg if known.directives else None,
            "budget_state": case.state if case else None,
            "budget_at": case.changed_at if case else None,
            "budget_note": case.note if case else "",
        }

    def _elapsed_s(self, job: Job) -> int:
        if job.started_at is None:
            return 0
        end_at = job.ended_at if job.ended_at is not None else self._clock.now()
        return max(0, end_at - job.started_at)

    def _deferred_s(self, job: Job) -> int:
        """How long the start was put off by us: from when it could have been to when it was."""
        if self._ledger.plans.deferral(job.key) is None:
            return 0
        first = self._ledger.plans.first_plan(job.key)
        if first is None or job.started_at is None:
            return 0
        return max(0, job.started_at - first.baseline_at)

    def _queue_row(self, known: KnownJob, figures: QueueFigures) -> Row:
        job = known.job
        kept = self._ledger.plans.plan(job.key)
        plan = kept.carried_out if kept else None
        shown = plan if plan is not None and job.pending else None
        epochs = self._epochs(known)
        begin_at = (shown.start_at if shown else None) or job.started_at or self._clock.now()
        prediction = self._ledger.plans.prediction(job.key)
        told = self._prediction(job, prediction, begin_at)
        return _identity(job) | {
            "reason": job.reason,
            "tasks": job.tasks,
            "started_at": job.started_at,
            "planned_start_at": shown.start_at if shown else None,
            "latest_at": shown.latest_at if shown else None,
            "plan_reason": shown.reason if shown else None,
            "plan_text": shown.text if shown else None,
            "expected_mg": plan.expected_mg if plan else None,
            "baseline_mg": plan.baseline_mg if plan else None,
            "best_mg": plan.best_mg if plan else None,
            "saved_mg": plan.saved_mg if plan else None,
            "planned_at": plan.made_at if plan else None,
            **_shadow(kept),
            **self._stops(job),
            "epoch": epochs[0],
            "epochs": epochs[1],
            "prediction": told,
            "otherwise": None,
            **figures.of(known, prediction, begin_at, told["mg"] if told else None),
        }

    def _stops(self, job: Job) -> Row:
        """When we stopped the run that this one goes on from, and whether this one is to stop."""
        before, stop = self._ledger.stops.before(job.key), self._ledger.stops.of(job.key)
        return {
            "stopped_at": before.at if before else None,
            "stopping_at": stop.at if stop and stop.state.under_way else None,
        }

    def _epochs(self, known: KnownJob) -> tuple[int | None, int | None]:
        job = known.job
        declared = known.directives.epochs if known.directives else None
        if job.started_at is None:
            return None, declared
        records = self._ledger.readings.epochs_of(job.key, job.started_at)
        if not records:
            return None, declared
        return records[-1].epoch, declared or records[-1].epochs

    def _prediction(self, job: Job, prediction: Prediction | None, begin_at: int) -> Row | None:
        if prediction is None:
            return None
        mass = self._predict.mass(job, prediction, begin_at)
        row = {name: value for name, value in asdict(prediction).items() if name != "method"}
        return row | {
            "mg": mass.mg if mass else None,
            "mg_low": mass.low_mg if mass else None,
            "mg_p25": mass.p25_mg if mass else None,
            "mg_p75": mass.p75_mg if mass else None,
            "mg_high": mass.high_mg if mass else None,
        }


def _goes_by(job: Job, job_id: int | None) -> bool:
    return job_id in (None, job.key.job_id, job.array_job_id, job.het_job_id)


def _identity(job: Job) -> Row:
    return {
        "cluster": job.key.cluster,
        "job_id": job.key.job_id,
        "shown_id": job.shown_id,
        "restarts": job.key.restarts,
        "user": job.user,
        "account": job.account,
        "partition": job.partition,
        "name": job.name,
        "state": job.state,
        "submitted_at": job.key.submitted_at,
        "node_count": job.node_count,
        "cpus": job.cpus,
    }


def _shadow(kept: Plan | None) -> Row:
    """The start and mass of a plan that shadow mode does not carry out."""
    shadow = kept if kept is not None and kept.carried_out is not kept else None
    return {
        "shadow_start_at": shadow.start_at if shadow else None,
        "shadow_mg": shadow.expected_mg if shadow else None,
    }


def _figures(settled: Settlement | None) -> Row:
    if settled is None:
        return {
            "energy_j": None, "mg": None, "provisional": True, "quality": "missing",
            "coverage": None, "g_per_kwh": None, "pue": None, "pue_source": "", "sources": [],
            "saved_mg": None, "domains": {}, "uncertainty_j": None, "embodied_mg": None, "why": "",
        }  # fmt: skip
    return {
        "energy_j": settled.energy_j,
        "mg": settled.mg,
        "provisional": settled.provisional,
        "quality": settled.quality,
        "coverage": settled.coverage,
        "g_per_kwh": settled.mg_per_kwh / 1000 if settled.mg_per_kwh is not None else None,
        "pue": settled.pue_ppm / PPM if settled.pue_ppm else None,
        "pue_source": settled.pue_source,
        "sources": list(settled.sources),
        "saved_mg": settled.saved_mg,
        "domains": dict(settled.domains),
        # Agents that tell no domains tell no uncertainty either, and not known is not 0.
        "uncertainty_j": settled.uncertainty_j or (0 if settled.domains else None),
        "embodied_mg": settled.embodied_mg,
        "why": settled.why,
    }
