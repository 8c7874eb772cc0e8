"""``GET /v1/audit`` as types; the conventions are those of :mod:`carbonsched.reports.documents`."""

from __future__ import annotations

from typing import Any, TypedDict, cast

from carbonsched.reports.conformity import conform


class AuditNode(TypedDict):
    """One node: ``missing_s`` are gaps between its segments, ``silent`` nothing of late."""

    node: str
    segments: int
    measured_j: int
    covered_s: int
    missing_s: int
    last_end_at: int
    silent: bool


class AuditQuality(TypedDict):
    """Jobs by quality with their energy in the period; ``open`` ones run or have just ended."""

    quality: str
    jobs: int
    energy_j: int


class AuditJob(TypedDict):
    """A job that lacks something."""

    shown_id: str
    restarts: int
    user: str
    nodes: list[str]
    state: str
    started_at: int | None
    ended_at: int | None
    quality: str
    energy_j: int | None
    why: str


class Unclaimed(TypedDict):
    """A part of a segment that is no job's by Slurm's record."""

    job_id: int
    restarts: int
    node: str
    start_at: int
    end_at: int
    energy_j: int
    why: str


class Mischarged(TypedDict):
    """A final job whose charges are not its readings."""

    shown_id: str
    restarts: int
    user: str
    metered_j: int
    charged_j: int


class SlurmCheck(TypedDict):
    """Metered over Slurm's own joules, of jobs that had their nodes to themselves."""

    jobs: int
    implausible: int
    ratio_median: float | None
    ratio_low: float | None
    ratio_high: float | None


class ClusterAudit(TypedDict):
    """One cluster: ``measured_j`` is the sum of jobs, idle, system and unclaimed.

    ``unknown_j`` and ``beyond_j`` divide what is unclaimed: of jobs that Slurm does not know, and
    beyond its record of those that it knows.
    """

    cluster: str
    adds_up: bool
    measured_j: int
    jobs_j: int
    idle_j: int
    system_j: int
    unclaimed_j: int
    difference_j: int
    uneven_segments: int
    unknown_j: int
    beyond_j: int
    nodes: list[AuditNode]
    unclaimed_count: int
    unclaimed: list[Unclaimed]
    qualities: list[AuditQuality]
    listed_count: int
    listed: list[AuditJob]
    compared: int
    mischarged: list[Mischarged]
    slurm: SlurmCheck


class AuditDocument(TypedDict):
    """The audit of a period."""

    now: int
    start_at: int
    end_at: int
    clusters: list[ClusterAudit]


def read_audit(answer: Any) -> AuditDocument:
    """The answer as an audit; ``DaemonError`` where it is not one."""
    conform(answer, AuditDocument, "")
    return cast("AuditDocument", answer)
