"""Monthly statements: of a user, an account or a campaign, from the ledger's entries."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from carbonsched import __version__
from carbonsched.accounting import (
    CAR,
    StatementFigures,
    car_km,
    current_period,
    period,
    segment_mg,
    statement,
)
from carbonsched.ledger import Ledger
from carbonsched.model.energy import Quality
from carbonsched.model.job import JobKey
from carbonsched.model.quota import Balance, Period, Subject
from carbonsched.ports import Clock
from carbonsched.services import statement_sums as sums
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters
from carbonsched.services.pricing import UNPRICED
from carbonsched.services.quotas import Quotas
from carbonsched.services.settle import SettleJobs
from carbonsched.services.statement_sums import Row, StatementLine
from carbonsched.services.views import Views
from carbonsched.units import apportion

MAX_JOBS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose statement; exactly what restricts the jobs in it."""

    kind: str
    name: str
    user: str | None = None
    account: str | None = None
    campaign: str | None = None


class Statements:
    """Builds the document that ``csreport`` renders."""

    def __init__(
        self,
        site: str,
        time_zone: str,
        clusters: Clusters,
        ledger: Ledger,
        grid: Grid,
        quotas: Quotas,
        settle: SettleJobs,
        views: Views,
        clock: Clock,
    ) -> None:
        self._site = site
        self._time_zone = time_zone
        self._clusters = clusters
        self._ledger = ledger
        self._grid = grid
        self._quotas = quotas
        self._settle = settle
        self._views = views
        self._clock = clock

    def build(self, scope: Scope, month: str | None) -> Row:
        """One month's statement; all sums are sums of ledger entries."""
        now = self._clock.now()
        when = period(month, self._time_zone) if month else current_period(now, self._time_zone)
        lines = self._lines(scope, when)
        intensity, label = self._intensity(lines, when, now)
        quality = sums.quality(lines)
        rows = [sums.month_row(line, when) for line in lines]
        totals = sums.totals(lines, rows)
        pue = sums.pue(lines)
        balance = self._balance(scope, when)
        return {
            "site": self._site,
            "subject": {"kind": scope.kind, "name": scope.name},
            "period": {
                "name": when.name,
                "start_at": when.start_at,
                "end_at": when.end_at,
                "time_zone": self._time_zone,
            },
            "generated_at": now,
            "totals": totals,
            "quality": quality,
            "domains": sums.domains(rows),
            "pue": pue,
            "days": self._days(lines, when),
            "accounts": sums.grouped(lines, lambda line: line.known.job.account or "(none)"),
            "campaigns": sums.grouped(lines, lambda line: line.row["campaign"]),
            "jobs": rows[:MAX_JOBS],
            "intensity": intensity,
            "intensity_label": label,
            "quota": balance_row(balance) if balance else None,
            "car": {
                "km": car_km(totals["mg"]),
                "g_per_km": CAR.g_per_km,
                "source": CAR.source,
                "year": CAR.year,
            },
            "sources": sorted({source for line in lines for source in line.row["sources"]}),
            "statement": self._sentence(scope, when, totals, quality, pue, label),
        }

    def _lines(self, scope: Scope, when: Period) -> list[StatementLine]:
        """Jobs charged in the month, and jobs that ended in it without any reading."""
        charges = {
            JobKey(**{name: row[name] for name in JobKey.__dataclass_fields__}): row
            for row in self._ledger.entries.charges(when.name, scope.user, scope.account)
        }
        known = [self._ledger.jobs.get(key) for key in charges]
        there = self._ledger.jobs.select(
            user=scope.user, account=scope.account, since_at=when.start_at, until_at=when.end_at
        )
        known += [one for one in there if one.job.key not in charges and sums.ran(one, when)]
        lines = []
        for one in known:
            if one is None or not sums.in_campaign(one, scope.campaign):
                continue
            charge = charges.get(one.job.key, {"mg": 0, "energy_j": 0})
            row = self._views.job_row(one)
            line = StatementLine(known=one, row=row, mg=charge["mg"], energy_j=charge["energy_j"])
            if charge["mg"] or charge["energy_j"] or row["quality"] == Quality.MISSING:
                lines.append(line)
        return sorted(lines, key=lambda line: (-line.mg, line.known.job.key))

    def _days(self, lines: list[StatementLine], when: Period) -> list[Row]:
        """Charges by local day: each job's are divided by what its segments of that day weigh."""
        zone = ZoneInfo(self._time_zone)
        days: dict[str, Row] = {}
        for line in lines:
            for date, mg, energy_j in self._by_day(line, when, zone):
                day = days.setdefault(date, {"date": date, "jobs": 0, "energy_j": 0, "mg": 0})
                day["jobs"] += 1
                day["mg"] += mg
                day["energy_j"] += energy_j
        return [days[date] for date in sorted(days)]

    def _by_day(
        self, line: StatementLine, when: Period, zone: ZoneInfo
    ) -> list[tuple[str, int, int]]:
        job = line.known.job
        managed = self._clusters.find(job.key.cluster)
        priced = self._settle.priced(managed, self._settle.readings(job)) if managed else UNPRICED
        mass: dict[str, int] = defaultdict(int)
        joules: dict[str, int] = defaultdict(int)
        for segment in priced.segments:
            if not when.start_at <= segment.start_at < when.end_at:
                continue
            date = datetime.fromtimestamp(segment.start_at, zone).date().isoformat()
            mass[date] += round(segment_mg(segment) * 1000)
            joules[date] += segment.energy_j
        if not any(joules.values()) or not any(mass.values()):
            # without readings, or a correction that a later month bears
            at = job.ended_at or job.started_at or job.key.submitted_at
            at = min(max(at, when.start_at), when.end_at - 1)
            date = datetime.fromtimestamp(at, zone).date().isoformat()
            return [(date, line.mg, line.energy_j)]
        mg, energy_j = apportion(line.mg, mass), apportion(line.energy_j, joules)
        return [(date, mg[date], energy_j[date]) for date in sorted(mass)]

    def _intensity(
        self, lines: list[StatementLine], when: Period, now: int
    ) -> tuple[list[Row], str]:
        """The grid's intensity around the statement's jobs, of the zone of the largest."""
        if not lines:
            return [], ""
        first = min(line.known.job.key.submitted_at for line in lines)
        last = max(line.known.job.ended_at or now for line in lines)
        pad = max(600, (last - first) // 20)
        start_at, end_at = max(when.start_at, first - pad), min(when.end_at, last + pad, now)
        managed = self._clusters.find(lines[0].known.job.key.cluster)
        if managed is None or end_at <= start_at:
            return [], ""
        pieces = self._grid.actual(managed.zone, start_at, end_at, now)
        labels = sorted({piece.info.label for piece in pieces})
        return sums.thinned(pieces), "; ".join(labels)

    def _balance(self, scope: Scope, when: Period) -> Balance | None:
        if scope.campaign is not None:
            return None
        kind = "account" if scope.account is not None else "user"
        subject = Subject(kind="account" if kind == "account" else "user", name=scope.name)
        return self._quotas.balance(subject, when.start_at)

    def _sentence(
        self,
        scope: Scope,
        when: Period,
        totals: Row,
        quality: list[Row],
        pue: Row | None,
        label: str,
    ) -> str:
        return statement(
            StatementFigures(
                who=f"{scope.kind} {scope.name}",
                period=when.name,
                site=self._site,
                jobs=totals["jobs"],
                energy_j=totals["energy_j"],
                mg=totals["mg"],
                provisional_mg=totals["provisional_mg"],
                quality_pct={Quality(row["quality"]): row["share_pct"] for row in quality},
                intensity_label=label or "an intensity that is not known yet",
                pue=(pue["low"], pue["high"]) if pue else None,
                pue_sources=tuple(pue["sources"]) if pue else (),
                saved_mg=totals["saved_mg"],
                embodied_mg=totals["embodied_mg"],
                modelled_j=totals["modelled_j"],
                uncertainty_j=totals["uncertainty_j"],
                version=__version__,
            )
        )


def balance_row(balance: Balance) -> Row:
    """A balance as the API shows it."""
    return {
        "subject": str(balance.subject),
        "period": balance.period.name,
        "period_end_at": balance.period.end_at,
        "budget_mg": balance.budget_mg,
        "granted_mg": balance.granted_mg,
        "charged_mg": balance.charged_mg,
        "reserved_mg": balance.reserved_mg,
        "remaining_mg": balance.remaining_mg,
    }
