"""Segments and epochs from the nodes: each counted once, however often and in whatever order."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from carbonsched.ledger.database import LedgerFile
from carbonsched.model.energy import EnergySegment, EpochRecord, Quality
from carbonsched.model.job import JobKey


class Receipt(StrEnum):
    """What became of a reading that arrived."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReading:
    """A job's part of one segment."""

    node: str
    start_at: int
    end_at: int
    energy_j: int
    cpu_ms: int
    present_ms: int
    quality: Quality
    meter: str


class ReadingTable:
    """The ``segments``, ``parts`` and ``epochs`` tables."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def add_segment(self, segment: EnergySegment, now: int) -> Receipt:
        """Store a segment unless it, or another that overlaps it on its node, is there."""
        digest = hashlib.sha256(json.dumps(segment.to_wire(), sort_keys=True).encode()).hexdigest()
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
        self._file.insert("parts", [asdict(part) | identity for part in segment.parts])

    def add_epoch(self, record: EpochRecord, now: int) -> Receipt:
        """Store an epoch unless it is there."""
        added = self._file.insert_new("epochs", [asdict(record) | {"received_at": now}])
        return Receipt.ACCEPTED if added else Receipt.DUPLICATE

    def of_job(self, key: JobKey, since_at: int, until_at: int) -> list[JobReading]:
        """A job's parts of segments that touch ``[since_at, until_at)``, in time order."""
        rows = self._file.rows(
            "SELECT node, start_at, end_at, energy_j, cpu_ms, present_ms, quality, meter"
            " FROM parts JOIN segments ON segments.id = parts.segment_id"
            " WHERE parts.cluster = :cluster AND job_id = :job_id AND restarts = :restarts"
            " AND start_at < :until_at AND end_at > :since_at ORDER BY start_at, node",
            cluster=key.cluster, job_id=key.job_id, restarts=key.restarts,
            since_at=since_at, until_at=until_at,
        )  # fmt: skip
        return [JobReading(**row | {"quality": Quality(row["quality"])}) for row in rows]

    def epochs_of(self, key: JobKey, since_at: int) -> list[EpochRecord]:
        """A job's epochs since an instant, by number."""
        names = ", ".join(EpochRecord.__dataclass_fields__)
        rows = self._file.rows(
            f"SELECT {names} FROM epochs WHERE cluster = :cluster AND job_id = :job_id"
            " AND restarts = :restarts AND started_ms >= :since_ms ORDER BY epoch, node",
            cluster=key.cluster, job_id=key.job_id, restarts=key.restarts, since_ms=since_at * 1000,
        )  # fmt: skip
        return [EpochRecord(**row | {"quality": Quality(row["quality"])}) for row in rows]

    def totals(self, cluster: str, since_at: int, until_at: int) -> dict[str, int]:
        """Joules by kind of consumer in segments that begin in the interval; ``total`` too."""
        rows = self._file.rows(
            "SELECT parts.kind AS kind, SUM(parts.energy_j) AS energy_j FROM parts"
            " JOIN segments ON segments.id = parts.segment_id WHERE segments.cluster = :cluster"
            " AND start_at >= :since_at AND start_at < :until_at GROUP BY parts.kind",
            cluster=cluster, since_at=since_at, until_at=until_at,
        )  # fmt: skip
        return {row["kind"]: row["energy_j"] for row in rows}
