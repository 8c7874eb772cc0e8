"""Sums over whole clusters and periods, for the audit. A segment counts where it begins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.readings import JobReading, read_part
from carbonsched.model.job import JobKey

_SLICE_S = 6 * 3600
_BEFORE_S = 31 * 86_400
"""How far back the last segment before a period is looked for."""
_PERIOD = (
    "segments.cluster = :cluster AND start_at >= :since_at AND start_at < :until_at"
    " AND segments.id <= :last_id"
)

_JOB_PARTS = "segments JOIN parts ON parts.segment_id = segments.id"
_INSIDE = (
    "jobs.cluster = parts.cluster AND jobs.job_id = parts.job_id"
    " AND jobs.restarts = parts.restarts AND jobs.started_at <= segments.start_at"
    " AND (jobs.ended_at >= segments.end_at"
    "  OR ((jobs.ended_at IS NULL OR jobs.ended_at + 1 >= segments.end_at) AND NOT EXISTS"
    "   (SELECT 1 FROM lost_ends WHERE lost_ends.cluster = jobs.cluster"
    "    AND lost_ends.job_id = jobs.job_id AND lost_ends.submitted_at = jobs.submitted_at"
    "    AND lost_ends.restarts = jobs.restarts AND lost_ends.node = segments.node)))"
    " AND parts.present_ms <= 1000 * (segments.end_at - segments.start_at)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTotals:
    """One node's segments in a period; ``missing_s`` are gaps between them."""

    node: str
    segments: int
    measured_j: int
    covered_s: int
    missing_s: int
    last_end_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A cluster's segments that begin in ``[since_at, until_at)``, as of one moment.

    ``last_id`` is the newest segment's number then: what comes during an audit changes nothing.
    """

    cluster: str
    since_at: int
    until_at: int
    last_id: int


class AuditTable:
    """Reads across the tables; writes nothing."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def period(self, cluster: str, since_at: int, until_at: int) -> Period:
        """A period as the ledger has it now."""
        row = self._file.row("SELECT COALESCE(MAX(id), 0) AS last_id FROM segments")
        last_id = (row or {})["last_id"]
        return Period(cluster=cluster, since_at=since_at, until_at=until_at, last_id=last_id)

    def nodes(self, period: Period) -> list[NodeTotals]:
        """Each node's energy, the time that its segments cover, and the gaps between them.

        A gap that began before the period counts from where the period begins.
        """
        rows = self._file.rows(
            "WITH before AS (SELECT node, MAX(end_at) AS ended_at FROM segments"
            "  WHERE cluster = :cluster AND start_at >= :since_at - :before_s"
            "  AND start_at < :since_at GROUP BY node),"
            " spans AS (SELECT node, start_at, end_at, total_j,"
            "  LAG(end_at) OVER (PARTITION BY node ORDER BY start_at) AS ended_at"
            f"  FROM segments WHERE {_PERIOD})"
            " SELECT spans.node AS node, COUNT(*) AS segments, SUM(total_j) AS measured_j,"
            "  SUM(end_at - start_at) AS covered_s, MAX(end_at) AS last_end_at,"
            "  SUM(MAX(0, start_at - MAX(:since_at,"
            "   COALESCE(spans.ended_at, before.ended_at, start_at)))) AS missing_s"
            " FROM spans LEFT JOIN before USING (node) GROUP BY spans.node ORDER BY spans.node",
            before_s=_BEFORE_S, **asdict(period),
        )  # fmt: skip
        return [NodeTotals(**row) for row in rows]

    def by_kind(self, period: Period) -> dict[str, int]:
        """Joules of the parts by kind of consumer."""
        rows = self._file.rows(
            "SELECT kind, SUM(energy_j) AS energy_j FROM parts"
            f" JOIN segments ON segments.id = parts.segment_id WHERE {_PERIOD} GROUP BY kind",
            **asdict(period),
        )
        return {row["kind"]: row["energy_j"] for row in rows}

    def uneven(self, period: Period) -> int:
        """How many segments are not the sum of their parts: none, unless the file was changed."""
        row = self._file.row(
            "SELECT COUNT(*) AS count FROM (SELECT total_j,"
            "  (SELECT COALESCE(SUM(energy_j), 0) FROM parts WHERE segment_id = segments.id)"
            f"  AS parts_j FROM segments WHERE {_PERIOD}) WHERE total_j != parts_j",
            **asdict(period),
        )
        return int((row or {})["count"])

    def inside(self, period: Period) -> dict[JobKey, int]:
        """Joules by run of the parts whose segment lies wholly within the run's time.

        That is most of them. Where ids come round so fast that two runs of one key hold the same
        segment, a part counts twice: callers compare the sum with that of all parts.
        """
        sums: dict[JobKey, int] = defaultdict(int)
        for piece in _slices(period):
            rows = self._file.rows(
                "SELECT jobs.cluster AS cluster, jobs.job_id AS job_id,"
                " jobs.submitted_at AS submitted_at, jobs.restarts AS restarts,"
                f" SUM(energy_j) AS energy_j FROM {_JOB_PARTS} JOIN jobs ON {_INSIDE}"
                f" WHERE {_PERIOD} AND parts.job_id IS NOT NULL"
                " GROUP BY jobs.cluster, jobs.job_id, jobs.submitted_at, jobs.restarts",
                **asdict(piece),
            )
            for row in rows:
                energy_j = row.pop("energy_j")
                sums[JobKey(**row)] += energy_j
        return sums

    def job_parts(self, period: Period, *, inside: bool) -> Iterator[tuple[int, JobReading]]:
        """Parts of jobs with the job's id, without their domains; ``inside`` ones only if asked."""
        rest = "" if inside else f" AND NOT EXISTS (SELECT 1 FROM jobs WHERE {_INSIDE})"
        for piece in _slices(period):
            rows = self._file.rows(
                "SELECT parts.job_id AS job_id, node, start_at, end_at, energy_j, cpu_ms,"
                " present_ms, node_ms, uncertainty_j, '{}' AS domains, parts.restarts AS restarts,"
                " COALESCE(parts.quality, segments.quality) AS quality, meter"
                f" FROM {_JOB_PARTS} WHERE {_PERIOD} AND parts.job_id IS NOT NULL{rest}"
                " ORDER BY start_at, node, parts.job_id, parts.restarts",
                **asdict(piece),
            )
            for row in rows:
                yield row.pop("job_id"), read_part(row)


def _slices(period: Period) -> Iterator[Period]:
    """Some hours at a time: a month of a large site needs little memory, and others get a turn."""
    for first in range(period.since_at, period.until_at, _SLICE_S):
        last = min(first + _SLICE_S, period.until_at)
        yield replace(period, since_at=first, until_at=last)
