"""Segments and epochs from the nodes: each counted once, however often and in whatever order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.entries import read_domains
from carbonsched.model.energy import Domain, EnergyPart, EnergySegment, Quality
from carbonsched.model.epoch import EpochPart, EpochRecord
from carbonsched.model.job import JobKey


class Receipt(StrEnum):
    """What became of a reading that arrived."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReading:
    """A job's part of one segment, with the fields of :class:`EnergyPart`.

    ``unclaimed_j`` is what was cut from it because it lies beyond Slurm's record of the job.
    ``end_lost`` says that its node missed the job's epilog and was told the end by Slurm's record.
    """

    node: str
    start_at: int
    end_at: int
    energy_j: int
    cpu_ms: int
    present_ms: int
    quality: Quality
    meter: str
    restarts: int = 0
    node_ms: int = 0
    uncertainty_j: int = 0
    domains: Mapping[Domain, int] = field(default_factory=dict)
    unclaimed_j: int = 0
    end_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEpoch:
    """One node's record of an epoch, with what makes its job comparable with others."""

    user: str
    name: str
    node_count: int
    cpus: int
    job_id: int
    submitted_at: int
    restarts: int
    node: str
    epoch: int
    started_ms: int
    duration_ms: int
    energy_millij: int
    quality: Quality
    gpu_limit_w: int | None


_PART = (
    "node, start_at, end_at, energy_j, cpu_ms, present_ms, node_ms, uncertainty_j, domains,"
    " restarts, COALESCE(parts.quality, segments.quality) AS quality, meter"
)
_LATER: dict[str, Any] = {"node_ms": 0, "quality": None, "uncertainty_j": 0, "domains": {}}


class ReadingTable:
    """The ``segments``, ``parts`` and ``epochs`` tables."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def add_segment(self, segment: EnergySegment, now: int) -> Receipt:
        """Store a segment unless it, or another that overlaps it on its node, is there."""
        digest = _digest(segment)
        with self._file.transaction():
            there = self._file.rows(
                "SELECT digest FROM segments WHERE cluster = :cluster AND node = :node"
                " AND start_at < :end_at AND end_at > :start_at AND start_at > :start_at - 864000",
                cluster=segment.cluster, node=segment.node,
                start_at=segment.start_at, end_at=segment.end_at,
            )  # fmt: skip
            if there:
                same = [row["digest"] for row in there] == [digest]
                return Receipt.DUPLICATE if same else Receipt.CONFLICT
            self._insert(segment, digest, now)
        return Receipt.ACCEPTED

    def _insert(self, segment: EnergySegment, digest: str, now: int) -> None:
        row = {name: value for name, value in asdict(segment).items() if name != "parts"}
        self._file.insert("segments", [row | {"digest": digest, "received_at": now}])
        found = self._file.row("SELECT last_insert_rowid() AS id")
        identity = {"segment_id": (found or {})["id"], "cluster": segment.cluster}
        self._file.insert("parts", [_row(part) | identity for part in segment.parts])

    def add_epoch(self, record: EpochRecord, now: int) -> Receipt:
        """Store an epoch unless it is there."""
        row = asdict(record) | {"parts": _packed(record.parts), "received_at": now}
        added = self._file.insert_new("epochs", [row])
        return Receipt.ACCEPTED if added else Receipt.DUPLICATE

    def of_job(
        self,
        cluster: str,
        job_id: int,
        restarts: set[int],
        since_at: int,
        until_at: int,
        after: int = 0,
    ) -> list[JobReading]:
        """Parts under a job id and restart counts of segments that touch ``[since_at, until_at)``.

        They come in time order; only those behind the part number ``after``.
        """
        counts = ", ".join(str(int(one)) for one in sorted(restarts))
        rows = self._file.rows(
            f"SELECT {_PART} FROM parts JOIN segments ON segments.id = parts.segment_id"
            f" WHERE parts.cluster = :cluster AND job_id = :job_id AND restarts IN ({counts})"
            " AND parts.rowid > :after"
            " AND start_at < :until_at AND end_at > :since_at ORDER BY start_at, node, restarts",
            cluster=cluster, job_id=job_id, since_at=since_at, until_at=until_at, after=after,
        )  # fmt: skip
        return [read_part(row) for row in rows]

    def epoch_count(self, key: JobKey) -> int:
        """How many epochs' records there are of a run."""
        (row,) = self._file.rows(
            "SELECT COUNT(*) AS records FROM epochs WHERE cluster = :cluster AND job_id = :job_id"
            " AND restarts = :restarts",
            cluster=key.cluster, job_id=key.job_id, restarts=key.restarts,
        )  # fmt: skip
        return int(row["records"])

    def last_part(self) -> int:
        """The number of the last part that was added; those that come have higher ones."""
        row = self._file.row("SELECT MAX(rowid) AS last FROM parts")
        return (row or {})["last"] or 0

    def epochs_of(self, key: JobKey, since_at: int) -> list[EpochRecord]:
        """A job's epochs since an instant, by number."""
        names = ", ".join(EpochRecord.__dataclass_fields__)
        rows = self._file.rows(
            f"SELECT {names} FROM epochs WHERE cluster = :cluster AND job_id = :job_id"
            " AND restarts = :restarts AND +started_ms >= :since_ms ORDER BY epoch, node",
            cluster=key.cluster, job_id=key.job_id, restarts=key.restarts, since_ms=since_at * 1000,
        )  # fmt: skip
        return [
            EpochRecord(
                **row | {"quality": Quality(row["quality"]), "parts": _unpacked(row["parts"])}
            )
            for row in rows
        ]

    def first_epoch(self, key: JobKey, since_at: int) -> tuple[int, int] | None:
        """The number of the epoch that began first since an instant, and that in milliseconds."""
        row = self._file.row(
            "SELECT epoch, started_ms FROM epochs WHERE cluster = :cluster AND job_id = :job_id"
            " AND restarts = :restarts AND started_ms >= :since_ms ORDER BY started_ms LIMIT 1",
            cluster=key.cluster, job_id=key.job_id, restarts=key.restarts, since_ms=since_at * 1000,
        )  # fmt: skip
        return (row["epoch"], row["started_ms"]) if row else None

    def last_epoch(self, key: JobKey, since_at: int) -> int | None:
        """The highest number of a job's epochs since an instant."""
        row = self._file.row(
            "SELECT MAX(epoch) AS epoch FROM epochs WHERE cluster = :cluster AND job_id = :job_id"
            " AND restarts = :restarts AND started_ms >= :since_ms",
            cluster=key.cluster, job_id=key.job_id, restarts=key.restarts, since_ms=since_at * 1000,
        )  # fmt: skip
        return row["epoch"] if row else None

    def epochs_told(self, cluster: str, since_at: int, most: int) -> list[ToldEpoch]:
        """Epochs of everybody's jobs on a cluster: the newest ``most``."""
        # From the newest on until there are enough; SQLite must not begin with the jobs.
        return self._told("epochs CROSS JOIN jobs", "started_ms", cluster, since_at, most)

    def epochs_of_name(
        self, cluster: str, user: str, name: str, since_at: int, most: int
    ) -> list[ToldEpoch]:
        """Those of a user's jobs of one name."""
        # Job by job; SQLite must not look through all times for each, which the plus forbids.
        return self._told(
            "jobs CROSS JOIN epochs", "+started_ms", cluster, since_at, most, user=user, name=name
        )

    def _told(
        self, tables: str, start: str, cluster: str, since_at: int, most: int, **whose: str
    ) -> list[ToldEpoch]:
        names = ", ".join(ToldEpoch.__dataclass_fields__)
        mine = "".join(f" AND {name} = :{name}" for name in whose)
        rows = self._file.rows(
            f"SELECT {names} FROM {tables} USING (cluster, job_id, restarts, uid)"
            f" WHERE cluster = :cluster AND {start} >= :since_ms"
            f" AND {start} >= 1000 * started_at"  # ids wrap
            f" AND (ended_at IS NULL OR {start} <= 1000 * ended_at){mine}"
            " ORDER BY started_ms DESC LIMIT :most",
            cluster=cluster, since_ms=since_at * 1000, most=most, **whose,
        )  # fmt: skip
        return [ToldEpoch(**row | {"quality": Quality(row["quality"])}) for row in rows]

    def totals(self, cluster: str, since_at: int, until_at: int) -> dict[str, int]:
        """Joules by kind of consumer in segments that begin in the interval; ``total`` too."""
        rows = self._file.rows(
            "SELECT parts.kind AS kind, SUM(parts.energy_j) AS energy_j FROM parts"
            " JOIN segments ON segments.id = parts.segment_id WHERE segments.cluster = :cluster"
            " AND start_at >= :since_at AND start_at < :until_at GROUP BY parts.kind",
            cluster=cluster, since_at=since_at, until_at=until_at,
        )  # fmt: skip
        return {row["kind"]: row["energy_j"] for row in rows}


def read_part(row: dict[str, Any]) -> JobReading:
    """A row of a part and its segment."""
    domains = read_domains(row["domains"])
    return JobReading(**row | {"quality": Quality(row["quality"]), "domains": domains})


def _row(part: EnergyPart) -> dict[str, Any]:
    return asdict(part) | {"domains": json.dumps(part.domains)}


def _digest(segment: EnergySegment) -> str:
    """The digest of a segment's content, the same from every version of the agent.

    Fields that came later are left out where they tell nothing, so that a segment stored before
    they were known is still the same when it is sent again.
    """
    wire = segment.to_wire()
    wire["parts"] = [
        {name: value for name, value in part.items() if name not in _LATER or value != _LATER[name]}
        for part in wire["parts"]
    ]
    return hashlib.sha256(json.dumps(wire, sort_keys=True).encode()).hexdigest()


def _packed(parts: Iterable[EpochPart]) -> str:
    """Milliseconds and millijoules of each part, as JSON."""
    return json.dumps([[part.duration_ms, part.energy_millij] for part in parts])


def _unpacked(text: str) -> tuple[EpochPart, ...]:
    return tuple(
        EpochPart(duration_ms=length_ms, energy_millij=millij)
        for length_ms, millij in json.loads(text)
    )
