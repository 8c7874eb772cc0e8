"""What the API offers, made of the services; decides only who may see what."""

from __future__ import annotations

from typing import Any

from carbonsched import __version__
from carbonsched.errors import ForbiddenError, RequestError
from carbonsched.ledger import Ledger
from carbonsched.model.directives import Directives
from carbonsched.model.placement import Candidacy
from carbonsched.ports import Clock
from carbonsched.services.access import Access
from carbonsched.services.adopt import AdoptJobs
from carbonsched.services.advice import Advice
from carbonsched.services.audit import Audits
from carbonsched.services.conditions import Asked
from carbonsched.services.ingest import TakeReadings
from carbonsched.services.managed import Clusters
from carbonsched.services.outlook import Outlook
from carbonsched.services.place import PlaceJobs, Submitter
from carbonsched.services.plan import PlanStarts
from carbonsched.services.predict import PredictJobs
from carbonsched.services.quotas import Quotas
from carbonsched.services.shadow import ShadowReports
from carbonsched.services.statement import Scope, Statements, balance_row
from carbonsched.services.ticks import Ticks, WriterLock
from carbonsched.services.views import Views
from carbonsched.transport.munge import Caller
from carbonsched.web.backend import (
    IntensityQuery,
    JobQuery,
    NodeView,
    PeriodQuery,
    ReportQuery,
)

Document = dict[str, Any]


class ServiceBackend:
    """Implements :class:`carbonsched.web.backend.Backend`."""

    def __init__(
        self,
        access: Access,
        lock: WriterLock,
        ticks: Ticks,
        clusters: Clusters,
        ledger: Ledger,
        adopt: AdoptJobs,
        predict: PredictJobs,
        plan: PlanStarts,
        take: TakeReadings,
        quotas: Quotas,
        advice: Advice,
        place: PlaceJobs,
        views: Views,
        statements: Statements,
        audits: Audits,
        shadows: ShadowReports,
        outlook: Outlook,
        clock: Clock,
    ) -> None:
        self._access = access
        self._lock = lock
        self._ticks = ticks
        self._clusters = clusters
        self._ledger = ledger
        self._adopt = adopt
        self._predict = predict
        self._plan = plan
        self._advice = advice
        self._place = place
        self._take = take
        self._quotas = quotas
        self._views = views
        self._statements = statements
        self._audits = audits
        self._shadows = shadows
        self._outlook = outlook
        self._clock = clock

    def readings(
        self, caller: Caller, segments: list[Any], epochs: list[Any], node: NodeView | None
    ) -> Document:
        """Take readings from a node, and tell it which of its runs have ended."""
        return self._take.take(caller, segments, epochs, node)

    def adopt(self, caller: Caller, cluster: str, job_id: int, directives: Directives) -> Document:
        """Adopt, predict and plan a job at once, and say what came of it."""
        with self._lock.held():
            known = self._adopt.one(cluster, job_id, directives, caller.uid)
            self._predict.one(known)
            self._plan.cluster(self._clusters.get(cluster), only=known.job.key)
        return {"lines": self._advice.lines(known)}

    def place(self, caller: Caller, asked: Candidacy) -> Document:
        """Where a job would emit least; keeps nothing, so it needs no lock."""
        who = Submitter(uid=caller.uid, user=self._access.name(caller))
        return self._place.document(who, asked)

    def queue(self, caller: Caller, query: JobQuery) -> Document:
        """Pending and active jobs with their plans."""
        user = self._access.user(caller, query.user, everybody=query.everybody)
        asked = Asked(gpu_limit_w=query.gpu_limit_w, nodes=query.nodes)
        return self._views.queue(user, query.job_id, None if asked == Asked() else asked)

    def jobs(self, caller: Caller, query: JobQuery) -> Document:
        """Jobs with their figures."""
        user = self._access.user(caller, query.user, everybody=query.everybody)
        return self._views.jobs(
            user, query.job_id, query.since_at, query.until_at, evidence=query.evidence
        )

    def epochs(self, caller: Caller, query: JobQuery) -> Document:
        """The epochs that a job marked."""
        user = self._access.user(caller, query.user, everybody=query.everybody)
        return self._views.epochs(user, query.job_id or 0)

    def report(self, caller: Caller, query: ReportQuery) -> Document:
        """A monthly statement."""
        return self._statements.build(self._scope(caller, query), query.month)

    def audit(self, caller: Caller, query: PeriodQuery) -> Document:
        """Whether a period adds up; for operators."""
        self._access.require_operator(caller)
        return self._audits.of(query.cluster, query.start_at, query.end_at)

    def shadow(self, caller: Caller, query: PeriodQuery) -> Document:
        """What the plans of the shadow mode would have saved; for operators."""
        self._access.require_operator(caller)
        return self._shadows.of(query.cluster, query.start_at, query.end_at)

    def intensity(self, caller: Caller, query: IntensityQuery) -> Document:  # noqa: ARG002
        """The grid's intensity now and ahead, for everybody."""
        return self._outlook.document(query.zones, query.hours, query.length_s)

    def quota(self, caller: Caller) -> Document:
        """Everybody's balances for an operator, the caller's own for others."""
        now = self._clock.now()
        own = self._access.name(caller)
        if self._access.operator(caller):
            balances, grants = self._quotas.limited(now), self._quotas.grants(now)
        else:
            accounts = {known.job.account for known in self._ledger.jobs.select(user=own)}
            found = {
                str(balance.subject): balance
                for account in sorted(accounts | {""})
                for balance in self._quotas.balances(own, account, now)
            }
            balances = list(found.values())
            grants = [one for one in self._quotas.grants(now) if one.subject in found]
        return {
            "balances": [balance_row(balance) for balance in balances],
            "grants": [
                {
                    "subject": one.subject, "period": one.period, "mg": one.mg,
                    "by": one.by, "at": one.at, "reason": one.reason,
                }
                for one in grants
            ],
        }  # fmt: skip

    def grant(
        self, caller: Caller, subject: str, month: str | None, mg: int, reason: str
    ) -> Document:
        """Change a budget, for the record; the next plan tick frees the jobs it has room for."""
        self._access.require_operator(caller)
        by = self._access.name(caller)
        with self._lock.held():
            balance = self._quotas.grant(subject, month, mg, reason, by, self._clock.now())
        return {"balance": balance_row(balance)}

    def health(self) -> Document:
        """Whether the ticks are well."""
        return {"version": __version__, **self._ticks.health()}

    def _scope(self, caller: Caller, query: ReportQuery) -> Scope:
        given = [one for one in (query.user, query.account, query.campaign) if one is not None]
        if len(given) > 1:
            raise RequestError("a report is of one user, one account or one campaign")
        if query.account is not None:
            self._access.require_operator(caller)
            return Scope(kind="account", name=query.account, account=query.account)
        if query.campaign is not None:
            user = None if self._access.operator(caller) else self._access.name(caller)
            return Scope(kind="campaign", name=query.campaign, user=user, campaign=query.campaign)
        user = self._access.user(caller, query.user)
        if user is None:
            raise ForbiddenError("a report is of one user, one account or one campaign")
        return Scope(kind="user", name=user, user=user)
