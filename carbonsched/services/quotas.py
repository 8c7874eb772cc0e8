"""Keeping everybody to the month's carbon budget: reservations, holds and grants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from carbonsched.accounting import Budgets, admit, current_period, period, subjects_of
from carbonsched.errors import RequestError
from carbonsched.ledger import Ledger
from carbonsched.ledger.entries import Grant, release_or_reserve
from carbonsched.model.entry import LedgerEntry
from carbonsched.model.job import Job
from carbonsched.model.plan import Plan
from carbonsched.model.prediction import Prediction
from carbonsched.model.quota import Balance, Period, Subject
from carbonsched.planning import QuotaHold
from carbonsched.services.predict import PredictJobs


class Quotas:
    """Balances, and what follows from them. A balance is always a sum over the ledger."""

    def __init__(
        self,
        budgets: Budgets,
        ledger: Ledger,
        predict: PredictJobs,
        time_zone: str,
    ) -> None:
        self._budgets = budgets
        self._ledger = ledger
        self._predict = predict
        self._time_zone = time_zone

    def balances(self, user: str, account: str, at: int) -> list[Balance]:
        """Of a job's subjects, those that have a budget in the month that holds ``at``."""
        found = (self.balance(subject, at) for subject in subjects_of(user, account))
        return [balance for balance in found if balance is not None]

    def balance(self, subject: Subject, at: int) -> Balance | None:
        """One subject's standing; ``None`` where it has no limit."""
        budget_mg = self._budgets.budget_mg(subject)
        if budget_mg is None:
            return None
        return self._ledger.entries.balance(subject, self._period(at), budget_mg)

    def hold(self, job: Job, prediction: Prediction | None, now: int) -> QuotaHold | None:
        """Until when a job must wait because its owner's or account's budget has no room."""
        found = self.balances(job.user, job.account, now)
        if not found:
            return None
        own_mg, _ = self._ledger.entries.reserved(job.key).get(self._period(now).name, (0, 0))
        balances = [replace(one, reserved_mg=one.reserved_mg - own_mg) for one in found]
        mass = self._predict.mass(job, prediction, now) if prediction else None
        admission = admit(balances, mass.mg if mass else None)
        if admission.admitted or admission.held_until_at is None:
            return None
        return QuotaHold(until_at=admission.held_until_at, text=admission.text)

    def reserve(self, job: Job, one: Plan, now: int) -> None:
        """Make a waiting job's reservation what its plan says, in the month it will start in.

        The central figure, not the upper: the upper end of a declared limit or of few earlier runs
        is several times what most jobs use, and would lock budgets that nobody spends. What a job
        uses beyond it is charged all the same, and may overdraw the balance.
        """
        wanted_mg = one.expected_mg
        if wanted_mg is None:
            prediction = self._ledger.plans.prediction(job.key)
            mass = self._predict.mass(job, prediction, one.start_at) if prediction else None
            wanted_mg = mass.mg if mass else 0
        self.hold_reservation(job, wanted_mg, max(one.start_at, now), now)

    def hold_reservation(
        self, job: Job, wanted_mg: int, starts_at: int, now: int, slack_mg: int = 0
    ) -> None:
        """Make the job's reservation ``wanted_mg`` in one month and nothing elsewhere.

        A reservation of that month that is no more than ``slack_mg`` off stays as it is.
        """
        month = self._period(starts_at).name
        with self._ledger.transaction():
            held = self._ledger.entries.reserved(job.key)
            for name in {*held, month}:
                held_mg, entries = held.get(name, (0, 0))
                change = (wanted_mg if name == month else 0) - held_mg
                if change == 0 or (name == month and held_mg and abs(change) <= slack_mg):
                    continue
                kind = release_or_reserve(change)
                entry = LedgerEntry(
                    kind=kind, key=job.key, user=job.user, account=job.account, period=name,
                    at=now, mg=change, energy_j=0,
                    idempotency_key=f"{kind}:{job.key}:{name}:{entries}",
                )  # fmt: skip
                self._ledger.entries.post(entry, origin=name)

    def grant(
        self, subject: str, month: str | None, mg: int, reason: str, by: str, now: int
    ) -> Balance:
        """Add to a subject's budget of a month.

        Raises:
            RequestError: no such subject, month or budget, or no reason.
        """
        who = parse_subject(subject)
        when = period(month, self._time_zone) if month else self._period(now)
        if not reason.strip():
            raise RequestError("a grant needs a reason, for the record")
        budget_mg = self._budgets.budget_mg(who)
        if budget_mg is None:
            raise RequestError(f"{who} has no quota to add to; see 'quotas' in the configuration")
        self._ledger.entries.add_grant(
            Grant(at=now, subject=str(who), period=when.name, mg=mg, by=by, reason=reason)
        )
        return self._ledger.entries.balance(who, when, budget_mg)

    def limited(self, now: int) -> list[Balance]:
        """Everybody who has a budget and is known by name this month, users first."""
        month = self._period(now)
        granted: dict[str, int] = defaultdict(int)
        for grant in self._ledger.entries.grants(month.name):
            granted[grant.subject] += grant.mg
        return [
            Balance(
                subject=subject,
                period=month,
                budget_mg=budget_mg,
                granted_mg=granted[str(subject)],
                charged_mg=charged_mg,
                reserved_mg=reserved_mg,
            )
            for subject, (charged_mg, reserved_mg) in self._sums(month, granted)
            if (budget_mg := self._budgets.budget_mg(subject)) is not None
        ]

    def _sums(
        self, month: Period, granted: Iterable[str]
    ) -> Iterator[tuple[Subject, tuple[int, int]]]:
        """What each subject has been charged and has reserved, in one query for each kind."""
        named = [parse_subject(text) for text in granted]
        users = self._ledger.entries.sums("user", month.name)
        for name in sorted({*self._budgets.users, *users, *_names(named, "user")}):
            yield Subject(kind="user", name=name), users.get(name, (0, 0))
        accounts = self._ledger.entries.sums("account", month.name)
        for name in sorted(self._budgets.accounts):
            yield Subject(kind="account", name=name), accounts.get(name, (0, 0))

    def grants(self, now: int) -> list[Grant]:
        """This month's grants."""
        return self._ledger.entries.grants(self._period(now).name)

    def period_end(self, now: int) -> int:
        """When this month ends."""
        return self._period(now).end_at

    def _period(self, at: int) -> Period:
        return current_period(at, self._time_zone)


def parse_subject(text: str) -> Subject:
    """``user:alice`` or ``account:physics``.

    Raises:
        RequestError: anything else.
    """
    kind, _, name = text.partition(":")
    if kind == "user" and name:
        return Subject(kind="user", name=name)
    if kind == "account" and name:
        return Subject(kind="account", name=name)
    raise RequestError(f"{text!r} is neither user:NAME nor account:NAME")


def _names(subjects: Iterable[Subject], kind: str) -> set[str]:
    return {subject.name for subject in subjects if subject.kind == kind}
