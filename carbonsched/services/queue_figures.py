"""What the queue tells of a job beside its plan: its end, the runs before, budget, quota, pilot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import Job
from carbonsched.model.prediction import Prediction
from carbonsched.model.quota import Balance
from carbonsched.model.stop import StopState
from carbonsched.services.budgets import JobBudgets, budget_words
from carbonsched.services.quotas import Quotas

Row = dict[str, Any]


class QueueFigures:
    """Figures for the rows of one document; balances are read once for each owner and account."""

    def __init__(self, ledger: Ledger, quotas: Quotas, budgets: JobBudgets, now: int) -> None:
        self._ledger = ledger
        self._quotas = quotas
        self._budgets = budgets
        self._now = now
        self._balances: dict[tuple[str, str], list[Balance]] = {}

    def of(
        self, known: KnownJob, prediction: Prediction | None, begin_at: int, mg: int | None
    ) -> Row:
        """One job's, which is predicted to begin then and to emit ``mg`` in this run."""
        job = known.job
        return {
            **_finish(job, prediction, begin_at),
            **self._earlier(job),
            "quota": self._shares(job, mg),
            "budget": self._budget(known),
            "pilot": self._pilot(known),
        }

    def _earlier(self, job: Job) -> Row:
        """What the runs before this one took, as charged; ``None`` where nothing is priced yet."""
        runs = [one.job for one in self._ledger.jobs.earlier_runs(job)]
        charged = [sums for run in runs for sums in self._ledger.entries.charged(run.key).values()]
        ran = [run for run in runs if run.started_at is not None and run.ended_at is not None]
        return {
            "earlier_runs": len(runs),
            "earlier_s": sum((run.ended_at or 0) - (run.started_at or 0) for run in ran),
            "earlier_j": sum(energy_j for _, energy_j, _ in charged) if charged else None,
            "earlier_mg": sum(mg for mg, _, _ in charged) if charged else None,
        }

    def _shares(self, job: Job, mg: int | None) -> list[Row]:
        """Of each quota that the job counts against: what is left, and what it takes of that.

        What is left is with the job's own reservation; of its mass what is not charged yet counts.
        """
        who = (job.user, job.account)
        if who not in self._balances:
            self._balances[who] = self._quotas.balances(*who, self._now)
        held = self._ledger.entries.reserved(job.key)
        charged = sum(one[0] for one in self._ledger.entries.charged(job.key).values())
        rows = []
        for one in self._balances[who]:
            left_mg = one.remaining_mg + held.get(one.period.name, (0, 0))[0]
            wanted_mg = None if mg is None else max(0, mg - charged)
            known = wanted_mg is not None and left_mg > 0
            share = (wanted_mg or 0) / left_mg if known else None
            rows.append(
                {
                    "subject": str(one.subject),
                    "period": one.period.name,
                    "left_mg": left_mg,
                    "share": share,
                }
            )
        return rows

    def _budget(self, known: KnownJob) -> Row | None:
        found = self._budgets.standing(known)
        if found is None:
            return None
        case = self._ledger.budgets.of(known.job.key)
        return {
            "budget_mg": found.budget_mg,
            "used_mg": found.used.mg if found.used.metered else None,
            "predicted_mg": found.predicted_mg,
            "state": case.state if case else None,
            "text": budget_words(found),
            "note": case.note if case else "",
        }

    def _pilot(self, known: KnownJob) -> Row | None:
        if known.directives is None or not known.directives.pilot:
            return None
        runs = [known, *reversed(self._ledger.jobs.earlier_runs(known.job))]
        found = (self._ledger.pilots.of(one.job.key) for one in runs)
        decision = next((one for one in found if one is not None), None)
        if decision is not None and decision.stopped:
            stop = self._ledger.stops.of(decision.key)
            if stop is not None and stop.state is StopState.LEFT:  # it came to nothing, and why
                decision = replace(decision, stopped=False, note=stop.note)
        return {
            "decided_at": decision.decided_at if decision else None,
            "stopped": decision.stopped if decision else None,
            "note": decision.note if decision else "",
        }


def _finish(job: Job, prediction: Prediction | None, begin_at: int) -> Row:
    known = prediction if job.tasks == 1 else None
    found: Row = {}
    for end in ("", "_low", "_p25", "_p75", "_high"):
        length_s = None if known is None else getattr(known, f"duration{end}_s")
        found[f"finish{end}_at"] = None if length_s is None else begin_at + length_s
    return found
