"""What csbatch tells the owner of a job just submitted: its plan, its weight, what is left."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import Job
from carbonsched.model.plan import Plan, Reason
from carbonsched.ports import Clock
from carbonsched.services.budgets import JobBudgets
from carbonsched.services.pieces import Pieces
from carbonsched.services.predict import PredictJobs
from carbonsched.services.quotas import Quotas
from carbonsched.units import format_duration, format_energy, format_mass


class Advice:
    """Words on one job, from the ledger; clock times in the site's time zone."""

    def __init__(
        self,
        ledger: Ledger,
        predict: PredictJobs,
        quotas: Quotas,
        clock: Clock,
        time_zone: str,
        pieces: Pieces,
        budgets: JobBudgets,
    ) -> None:
        self._ledger = ledger
        self._predict = predict
        self._quotas = quotas
        self._clock = clock
        self._zone = ZoneInfo(time_zone)
        self._pieces = pieces
        self._budgets = budgets

    def lines(self, known: KnownJob) -> list[str]:
        """A line each on plan, prediction and every quota that the job counts against."""
        job, now = known.job, self._clock.now()
        kept = self._ledger.plans.plan(job.key)
        plan = kept.carried_out if kept else None
        lines = [self._plan_line(plan, now)] if plan else []
        return [
            *lines,
            *self._pilot_lines(known),
            self._prediction_line(job, plan, now),
            *self._budget_lines(known),
            *self._quota_lines(job, now),
        ]

    def _pilot_lines(self, known: KnownJob) -> list[str]:
        asked = self._pieces.asked(known)
        if asked is None or not asked.pilot:
            return []
        if self._pieces.stoppable(known):
            return ["pilot: after its first epoch it goes on, or in a cleaner window if that pays"]
        why = "the site stops none" if asked.checkpoint else "without --carbon-checkpoint"
        return [f"pilot: {why}, so it is not stopped; its first epoch refines what is predicted"]

    def _budget_lines(self, known: KnownJob) -> list[str]:
        found = self._budgets.standing(known)
        if found is None or not found.exceeds:
            return []
        predicted, given = format_mass(found.predicted_mg), format_mass(found.budget_mg)
        return [f"warning: {predicted} predicted, and at its budget of {given} the job is ended"]

    def _plan_line(self, plan: Plan, now: int) -> str:
        if not plan.deferred or plan.start_at <= now:
            return f"plan: {plan.text}"
        clock = datetime.fromtimestamp(plan.start_at, self._zone)
        day = "" if plan.start_at - now < 86_400 else f"{clock:%Y-%m-%d} "
        return f"plan: {plan.text}; that is at {day}{clock:%H:%M:%S}"

    def _prediction_line(self, job: Job, plan: Plan | None, now: int) -> str:
        prediction = self._ledger.plans.prediction(job.key)
        if prediction is None:
            return "predicted: nothing yet; give --time, or mark epochs"
        # A held job is weighed as the quota weighed it: if it ran now.
        weighed_at = plan.start_at if plan and plan.reason is not Reason.QUOTA else now
        mass = self._predict.mass(job, prediction, weighed_at)
        weight = "an unknown mass, for no intensity is known"
        if mass is not None:
            interval = f"{format_mass(mass.low_mg)} to {format_mass(mass.high_mg)}"
            weight = f"{format_mass(mass.mg)} ({interval})"
        energy = format_energy(prediction.energy_j * job.tasks)
        length = format_duration(prediction.duration_s)
        return f"predicted from {prediction.source}: {weight}, {energy}, {length}"

    def _quota_lines(self, job: Job, now: int) -> list[str]:
        return [
            f"quota of {one.subject}: {format_mass(one.remaining_mg)} of"
            f" {format_mass(one.budget_mg + one.granted_mg)} left in {one.period.name}"
            for one in self._quotas.balances(job.user, job.account, now)
        ]
