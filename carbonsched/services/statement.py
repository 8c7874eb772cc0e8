"""Monthly statements: of a user, an account or a campaign, from the ledger's entries."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
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
from carbonsched.intensity.resolve import Resolved
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.energy import Quality
from carbonsched.model.job import JobKey
from carbonsched.model.quota import Balance, Period, Subject
from carbonsched.ports import Clock
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters
from carbonsched.services.quotas import Quotas
from carbonsched.services.settle import UNPRICED, SettleJobs
from carbonsched.services.views import Views
from carbonsched.units import apportion

MAX_JOBS = 200
MAX_POINTS = 1500
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose statement; exactly what restricts the jobs in it."""

    kind: str
    name: str
    user: str | None = None
    account: str | None = None
    campaign: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One job with what it was charged in the month; its row says what it is as a whole."""

    known: KnownJob
    row: Row
    mg: int
    energy_j: int


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
        quality = _quality(lines)
        totals = _totals(lines)
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
            "days": self._days(lines, when),
            "accounts": _grouped(lines, lambda line: line.known.job.account or "(none)"),
            "campaigns": _grouped(lines, lambda line: line.row["campaign"]),
            "jobs": [_month_row(line) for line in lines[:MAX_JOBS]],
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
            "statement": self._sentence(scope, when, totals, quality, lines, label),
        }

    def _lines(self, scope: Scope, when: Period) -> list[_Line]:
        """Jobs charged in the month, and jobs that ended in it without any reading."""
        charges = {
            JobKey(**{name: row[name] for name in JobKey.__dataclass_fields__}): row
            for row in self._ledger.entries.charges(when.name, scope.user, scope.account)
        }
        known = [self._ledger.jobs.get(key) for key in charges]
        there = self._ledger.jobs.select(
            user=scope.user, account=scope.account, since_at=when.start_at, until_at=when.end_at
        )
        known += [one for one in there if one.job.key not in charges and _ran(one, when)]
        lines = []
        for one in known:
            if one is None or not _in_campaign(one, scope.campaign):
                continue
            charge = charges.get(one.job.key, {"mg": 0, "energy_j": 0})
            row = self._views.job_row(one)
            line = _Line(known=one, row=row, mg=charge["mg"], energy_j=charge["energy_j"])
            if charge["mg"] or charge["energy_j"] or row["quality"] == Quality.MISSING:
                lines.append(line)
        return sorted(lines, key=lambda line: (-line.mg, line.known.job.key))

    def _days(self, lines: list[_Line], when: Period) -> list[Row]:
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

    def _by_day(self, line: _Line, when: Period, zone: ZoneInfo) -> list[tuple[str, int, int]]:
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

    def _intensity(self, lines: list[_Line], when: Period, now: int) -> tuple[list[Row], str]:
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
        return _thinned(pieces), "; ".join(labels)

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
        lines: list[_Line],
        label: str,
    ) -> str:
        pues = {line.row["pue"] for line in lines if line.row["pue"] is not None}
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
                pue=pues.pop() if len(pues) == 1 else None,
                saved_mg=totals["saved_mg"],
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


def _ran(known: KnownJob, when: Period) -> bool:
    ended_at = known.job.ended_at
    return (
        known.job.started_at is not None
        and ended_at is not None
        and when.start_at <= ended_at < when.end_at
        and ended_at > known.job.started_at
    )


def _in_campaign(known: KnownJob, campaign: str | None) -> bool:
    if campaign is None:
        return True
    return known.directives is not None and known.directives.campaign == campaign


def _month_row(line: _Line) -> Row:
    """A job's row with the part of its figures that this month was charged."""
    if line.row["energy_j"] is None:
        return line.row
    return line.row | {"mg": line.mg, "energy_j": line.energy_j}


def _totals(lines: list[_Line]) -> Row:
    saved = [line.row["saved_mg"] for line in lines if line.row["saved_mg"] is not None]
    return {
        "jobs": len(lines),
        "energy_j": sum(line.energy_j for line in lines),
        "mg": sum(line.mg for line in lines),
        "provisional_mg": sum(line.mg for line in lines if line.row["provisional"]),
        "saved_mg": sum(saved) if saved else None,
        "deferred_jobs": sum(line.row["deferred_s"] > 0 for line in lines),
        "cpu_s": sum(line.row["elapsed_s"] * line.row["cpus"] for line in lines),
        "elapsed_s": sum(line.row["elapsed_s"] for line in lines),
    }


def _quality(lines: list[_Line]) -> list[Row]:
    """Each quality's jobs, energy, and share of the jobs' node-time."""
    whole = sum(_node_s(line) for line in lines)
    rows = []
    for quality in Quality:
        mine = [line for line in lines if line.row["quality"] == quality]
        missing = quality is Quality.MISSING
        share = 100 * sum(_node_s(line) for line in mine) / whole if whole else 0.0
        rows.append(
            {
                "quality": quality,
                "jobs": len(mine),
                "energy_j": None if missing else sum(line.energy_j for line in mine),
                "share_pct": share,
            }
        )
    return rows


def _node_s(line: _Line) -> int:
    return int(line.row["elapsed_s"] * line.row["node_count"])


def _grouped(lines: list[_Line], name_of: Any) -> list[Row]:
    groups: dict[str, Row] = {}
    for line in lines:
        name = name_of(line)
        if name is None:
            continue
        group = groups.setdefault(name, {"name": name, "jobs": 0, "energy_j": 0, "mg": 0})
        group["jobs"] += 1
        group["energy_j"] += line.energy_j
        group["mg"] += line.mg
    return sorted(groups.values(), key=lambda group: (-group["mg"], group["name"]))


def _thinned(pieces: tuple[Resolved, ...]) -> list[Row]:
    """At most some 1,500 periods: neighbours are merged to their time-weighted mean."""
    width = -(-len(pieces) // MAX_POINTS) or 1
    rows = []
    for first in range(0, len(pieces), width):
        group = pieces[first : first + width]
        length_s = sum(piece.end_at - piece.start_at for piece in group)
        weighted = sum(piece.mg_per_kwh * (piece.end_at - piece.start_at) for piece in group)
        rows.append(
            {
                "start_at": group[0].start_at,
                "end_at": group[-1].end_at,
                "g_per_kwh": weighted / length_s / 1000,
            }
        )
    return rows
