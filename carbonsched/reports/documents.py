"""The documents that the daemon answers, as types, and the reading of answers as such.

Names ending ``_mg`` and ``_j`` are whole milligrams and joules; ``_at`` whole epoch seconds. Masses
include PUE, energies are at the meter. ``None`` is missing, never zero.
"""

from __future__ import annotations

from typing import Any, TypedDict, cast

from carbonsched.reports.conformity import conform


class DomainsDocument(TypedDict, total=False):
    """Joules by part of the node; a part that is not there was not told."""

    cpu: int
    memory: int
    gpu: int
    node: int
    rest: int


class EvidenceRow(TypedDict):
    """One node's segment as far as it was this job's; ``mg`` is exact, as a decimal string.

    ``unclaimed_j`` is what was cut off as beyond Slurm's record of the job, not in ``energy_j``.
    """

    node: str
    start_at: int
    end_at: int
    energy_j: int
    domains: DomainsDocument
    uncertainty_j: int
    unclaimed_j: int
    quality: str
    meter: str
    g_per_kwh: float | None
    provider: str | None
    pue: float | None
    mg: str | None


class JobCore(TypedDict):
    """A job in the ledger. ``g_per_kwh`` and ``pue`` are energy-weighted means of what it met.

    ``domains`` divides ``energy_j`` as far as agents tell; ``embodied_mg`` is no part of ``mg``;
    ``why`` says why ``quality`` is not the best.
    """

    cluster: str
    job_id: int
    shown_id: str
    restarts: int
    user: str
    account: str
    partition: str
    name: str
    campaign: str | None
    state: str
    submitted_at: int
    started_at: int | None
    ended_at: int | None
    elapsed_s: int
    node_count: int
    cpus: int
    nodes: list[str]
    deferred_s: int
    energy_j: int | None
    mg: int | None
    provisional: bool
    quality: str
    coverage: float | None
    g_per_kwh: float | None
    pue: float | None
    pue_source: str
    sources: list[str]
    saved_mg: int | None
    domains: DomainsDocument
    uncertainty_j: int | None
    embodied_mg: int | None
    why: str


class JobRow(JobCore, total=False):
    """A job in the ledger, with its evidence where that was asked for.

    ``budget_state`` is how far the run came with its job's own budget, ``budget_at`` since when.
    """

    budget_mg: int | None
    budget_state: str | None
    budget_at: int | None
    budget_note: str
    evidence: list[EvidenceRow]


class JobsDocument(TypedDict):
    """``GET /v1/jobs``."""

    now: int
    jobs: list[JobRow]


class Named(TypedDict):
    """Whom a report is about."""

    kind: str
    name: str


class PeriodDocument(TypedDict):
    """A calendar month of the site's time zone, half-open."""

    name: str
    start_at: int
    end_at: int
    time_zone: str


class Totals(TypedDict):
    """A month's sums; ``provisional_mg`` is the part of ``mg`` that may still change.

    ``embodied_mg`` (of ``embodied_jobs``) is no part of ``mg``; ``None`` where no node's is
    declared. ``modelled_j`` is the energy of jobs of which a part was modelled, ``uncertainty_j``
    its standard deviation.
    """

    jobs: int
    energy_j: int
    mg: int
    provisional_mg: int
    saved_mg: int | None
    embodied_mg: int | None
    embodied_jobs: int
    modelled_j: int
    uncertainty_j: int
    deferred_jobs: int
    cpu_s: int
    elapsed_s: int


class QualityShare(TypedDict):
    """How much was obtained in one way; ``share_pct`` is of the jobs' node time."""

    quality: str
    jobs: int
    energy_j: int | None
    share_pct: float


class DaySum(TypedDict):
    """One calendar day of the site's time zone."""

    date: str
    jobs: int
    energy_j: int
    mg: int


class GroupSum(TypedDict):
    """One account or campaign."""

    name: str
    jobs: int
    energy_j: int
    mg: int


class IntensityStep(TypedDict):
    """The grid's intensity over ``[start_at, end_at)``."""

    start_at: int
    end_at: int
    g_per_kwh: float


class QuotaStanding(TypedDict):
    """A subject's standing in the report's month."""

    subject: str
    budget_mg: int
    granted_mg: int
    charged_mg: int
    reserved_mg: int
    remaining_mg: int


class Car(TypedDict):
    """The month's mass as a distance by car."""

    km: float
    g_per_km: float
    source: str
    year: int


class PueDocument(TypedDict):
    """The lowest and highest mean PUE of a job, and whose word they are."""

    low: float
    high: float
    sources: list[str]


class ReportDocument(TypedDict):
    """``GET /v1/report``.

    ``domains`` sums up what agents tell by part of the node: perhaps less than the whole energy.
    """

    site: str
    subject: Named
    period: PeriodDocument
    generated_at: int
    totals: Totals
    quality: list[QualityShare]
    domains: DomainsDocument
    pue: PueDocument | None
    days: list[DaySum]
    accounts: list[GroupSum]
    campaigns: list[GroupSum]
    jobs: list[JobRow]
    intensity: list[IntensityStep]
    intensity_label: str
    quota: QuotaStanding | None
    car: Car
    sources: list[str]
    statement: str


class BalanceRow(QuotaStanding):
    """A subject's standing in the current period."""

    period: str
    period_end_at: int


class GrantRow(TypedDict):
    """One grant, for the audit."""

    subject: str
    period: str
    mg: int
    by: str
    at: int
    reason: str


class QuotaDocument(TypedDict):
    """``GET /v1/quota``."""

    balances: list[BalanceRow]
    grants: list[GrantRow]


class GrantedDocument(TypedDict):
    """``POST /v1/quota/grants``."""

    balance: BalanceRow


class CurrentIntensity(TypedDict):
    """The latest value that is known; ``estimated`` is its provider's own flag."""

    start_at: int
    end_at: int
    g_per_kwh: float
    estimated: bool
    label: str
    fetched_at: int


class ForecastStep(TypedDict):
    """An hour to come; low and high are the ends of the 80 % interval where one is given."""

    start_at: int
    end_at: int
    g_per_kwh: float
    low: float | None
    high: float | None


class CleanWindow(TypedDict):
    """The window of a length with the lowest mean; ``now_g_per_kwh`` is that of starting now."""

    start_at: int
    end_at: int
    g_per_kwh: float
    now_g_per_kwh: float


class ZoneOutlook(TypedDict):
    """One zone: what is known, what is expected, and on whose word."""

    zone: str
    current: CurrentIntensity | None
    forecast_label: str | None
    issued_at: int | None
    fetched_at: int | None
    ends_at: int | None
    ranking_label: str | None
    steps: list[ForecastStep]
    window: CleanWindow | None


class OutlookDocument(TypedDict):
    """``GET /v1/intensity``."""

    now: int
    hours: int
    length_s: int | None
    zones: list[ZoneOutlook]


def read_outlook(answer: Any) -> OutlookDocument:
    """The answer as an outlook; ``DaemonError`` where it is not one."""
    conform(answer, OutlookDocument, "")
    return cast("OutlookDocument", answer)


def read_jobs(answer: Any) -> JobsDocument:
    """The answer as a jobs document; ``DaemonError`` where it is not one."""
    conform(answer, JobsDocument, "")
    return cast("JobsDocument", answer)


def read_report(answer: Any) -> ReportDocument:
    """The answer as a report document; ``DaemonError`` where it is not one."""
    conform(answer, ReportDocument, "")
    return cast("ReportDocument", answer)


def read_quota(answer: Any) -> QuotaDocument:
    """The answer as a quota document; ``DaemonError`` where it is not one."""
    conform(answer, QuotaDocument, "")
    return cast("QuotaDocument", answer)


def read_granted(answer: Any) -> GrantedDocument:
    """The answer to a grant; ``DaemonError`` where it is not one."""
    conform(answer, GrantedDocument, "")
    return cast("GrantedDocument", answer)
