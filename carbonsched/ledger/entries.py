"""Entries, grants, balances and settlements: what was reserved and charged, and to whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any, Literal

from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.jobs import KEY_MATCH
from carbonsched.model.energy import Domain, Quality
from carbonsched.model.entry import EntryKind, LedgerEntry
from carbonsched.model.job import JobKey
from carbonsched.model.quota import Balance, Period, Subject

_CHARGES = "('charge', 'adjust')"
_HOLDS = "('reserve', 'release')"
_FLAGS = ("provisional", "final", "complete")
_COLUMN = {"user": "user", "account": "account"}


EDGE_S = 600
"""Segments reach beyond the second in which Slurm says that a job began or ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """One job's figures as last settled; derived from readings, intensities and entries.

    ``mg_per_kwh`` and ``pue_ppm`` are energy-weighted means; a PUE of 0 is not known, and
    ``pue_source`` says whose word it is. ``complete`` says that all readings are in and priced,
    ``final`` that the intensities are settled too, so that only a revision can change it;
    ``provisional`` that it is not final, or that an intensity is static. A complete job need not be
    looked at before ``due_at``, unless something of it is revised. ``domains`` divides
    ``energy_j`` by part of the node and adds up to it where the agents tell. ``embodied_mg`` is the
    share in the making of the nodes, ``None`` where that is not declared. ``why`` says why the
    quality is not the best, ``method`` by which rules readings were counted.

    ``exact_mg`` is the sum before it was rounded, of the ``priced_j`` of which an intensity was
    known; ``None`` where it was not kept. ``last_part`` is the number of the last part of a segment
    that the ledger held then: what is the job's of later ones is not counted.
    """

    key: JobKey
    settled_at: int
    energy_j: int | None
    mg: int | None
    quality: Quality
    coverage: float | None
    provisional: bool
    final: bool
    mg_per_kwh: int | None
    pue_ppm: int
    sources: tuple[str, ...]
    saved_mg: int | None
    baseline_at: int | None
    cpu_ms: int
    embodied_mg: int | None = None
    uncertainty_j: int = 0
    domains: Mapping[Domain, int] = field(default_factory=dict)
    pue_source: str = ""
    why: str = ""
    method: str = ""
    complete: bool = False
    due_at: int = 0
    exact_mg: Fraction | None = None
    priced_j: int = 0
    last_part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Extra budget that an operator gave, or took when ``mg`` is negative."""

    at: int
    subject: str
    period: str
    mg: int
    by: str
    reason: str


class EntryTable:
    """The ``entries``, ``grants`` and ``settlements`` tables."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def post(self, entry: LedgerEntry, origin: str) -> bool:
        """Append an entry; ``False`` where its idempotency key is there already.

        ``origin`` is the month in which the energy was used, which differs from the entry's
        period when a closed month is corrected in a later one.
        """
        row = asdict(entry)
        row.update(row.pop("key"))
        row["provenance"] = json.dumps(entry.provenance, sort_keys=True)
        return self._file.insert_new("entries", [row | {"origin": origin}]) == 1

    def charged(self, key: JobKey) -> dict[str, tuple[int, int, int]]:
        """Per month of origin what a job has been charged: (mg, joules, number of entries)."""
        rows = self._file.rows(
            f"SELECT origin, SUM(mg) AS mg, SUM(energy_j) AS energy_j, COUNT(*) AS entries"
            f" FROM entries WHERE {KEY_MATCH} AND kind IN {_CHARGES} GROUP BY origin",
            **asdict(key),
        )
        return {row["origin"]: (row["mg"], row["energy_j"], row["entries"]) for row in rows}

    def reserved(self, key: JobKey) -> dict[str, tuple[int, int]]:
        """Per period what a job has reserved now: (mg, number of entries)."""
        rows = self._file.rows(
            f"SELECT period, SUM(mg) AS mg, COUNT(*) AS entries FROM entries"
            f" WHERE {KEY_MATCH} AND kind IN {_HOLDS} GROUP BY period",
            **asdict(key),
        )
        return {row["period"]: (row["mg"], row["entries"]) for row in rows}

    def reserving(self) -> list[JobKey]:
        """Jobs that hold a reservation."""
        rows = self._file.rows(
            f"SELECT cluster, job_id, submitted_at, restarts FROM entries WHERE kind IN {_HOLDS}"
            " GROUP BY cluster, job_id, submitted_at, restarts, period HAVING SUM(mg) != 0"
        )
        return sorted({JobKey(**row) for row in rows})

    def balance(self, subject: Subject, period: Period, budget_mg: int) -> Balance:
        """A subject's standing in a period: the sums of its entries and grants, exactly."""
        row = self._file.row(
            f"SELECT COALESCE(SUM(mg) FILTER (WHERE kind IN {_CHARGES}), 0) AS charged_mg,"
            f" COALESCE(SUM(mg) FILTER (WHERE kind IN {_HOLDS}), 0) AS reserved_mg"
            f" FROM entries WHERE period = :period AND {_COLUMN[subject.kind]} = :name",
            period=period.name, name=subject.name,
        )  # fmt: skip
        granted = self._file.row(
            "SELECT COALESCE(SUM(mg), 0) AS mg FROM grants"
            " WHERE subject = :subject AND period = :period",
            subject=str(subject), period=period.name,
        )  # fmt: skip
        return Balance(
            subject=subject,
            period=period,
            budget_mg=budget_mg,
            granted_mg=(granted or {})["mg"],
            **(row or {}),
        )

    def charge_sum(self, period: str, user: str | None, account: str | None) -> tuple[int, int]:
        """The sums (mg, joules) of a period's charges and adjustments."""
        row = self._file.row(
            f"SELECT COALESCE(SUM(mg), 0) AS mg, COALESCE(SUM(energy_j), 0) AS energy_j"
            f" FROM entries WHERE period = :period AND kind IN {_CHARGES}"
            " AND (:user IS NULL OR user = :user) AND (:account IS NULL OR account = :account)",
            period=period, user=user, account=account,
        )  # fmt: skip
        return (row or {})["mg"], (row or {})["energy_j"]

    def charges(self, period: str, user: str | None, account: str | None) -> list[dict[str, Any]]:
        """A period's charges by job: the key's columns, ``mg`` and ``energy_j``."""
        return self._file.rows(
            f"SELECT cluster, job_id, submitted_at, restarts, SUM(mg) AS mg,"
            f" SUM(energy_j) AS energy_j FROM entries WHERE period = :period"
            f" AND kind IN {_CHARGES} AND (:user IS NULL OR user = :user)"
            " AND (:account IS NULL OR account = :account)"
            " GROUP BY cluster, job_id, submitted_at, restarts",
            period=period, user=user, account=account,
        )  # fmt: skip

    def sums(self, kind: Literal["user", "account"], period: str) -> dict[str, tuple[int, int]]:
        """What everybody with an entry in the period has been charged, and has reserved."""
        column = _COLUMN[kind]
        rows = self._file.rows(
            f"SELECT {column} AS name,"
            f" COALESCE(SUM(mg) FILTER (WHERE kind IN {_CHARGES}), 0) AS charged_mg,"
            f" COALESCE(SUM(mg) FILTER (WHERE kind IN {_HOLDS}), 0) AS reserved_mg"
            f" FROM entries WHERE period = :period GROUP BY {column}",
            period=period,
        )
        return {row["name"]: (row["charged_mg"], row["reserved_mg"]) for row in rows}

    def add_grant(self, grant: Grant) -> None:
        """Append a grant; grants are never changed, only answered by another."""
        self._file.insert("grants", [asdict(grant)])

    def grants(self, period: str) -> list[Grant]:
        """The grants of a period, oldest first."""
        names = ", ".join(Grant.__dataclass_fields__)
        rows = self._file.rows(
            f"SELECT {names} FROM grants WHERE period = :period ORDER BY id",
            period=period,
        )
        return [Grant(**row) for row in rows]

    def save_settlement(self, settlement: Settlement) -> None:
        """Write a job's figures as they now stand."""
        row = asdict(settlement)
        row.update(row.pop("key"))
        row["sources"] = json.dumps(list(settlement.sources))
        row["domains"] = json.dumps(settlement.domains)
        row["exact_mg"] = None if settlement.exact_mg is None else str(settlement.exact_mg)
        for name in _FLAGS:
            row[name] = int(row[name])
        self._file.replace("settlements", [row])

    def reopen(self, cluster: str, job_id: int, restarts: int) -> None:
        """Let a job be settled again: a reading of it has come late.

        An agent that found a job without its prolog does not know its restarts and says 0, so such
        a reading may be any run's.
        """
        self._file.change(
            "UPDATE settlements SET final = 0, complete = 0, due_at = 0"
            " WHERE cluster = :cluster AND job_id = :job_id"
            " AND (restarts = :restarts OR :restarts = 0) AND complete = 1",
            cluster=cluster,
            job_id=job_id,
            restarts=restarts,
        )

    def reopen_between(self, cluster: str, start_at: int, end_at: int, ended_since_at: int) -> int:
        """Let complete jobs be settled again that an intensity of ``[start_at, end_at)`` touches.

        Those that could have run then count too, for what waiting saved them; those that ended
        before ``ended_since_at`` do not. Returns how many were opened.
        """
        return self._file.change(
            "UPDATE settlements SET final = 0, due_at = 0 WHERE complete = 1"
            " AND (cluster, job_id, submitted_at, restarts) IN"
            " (SELECT cluster, job_id, submitted_at, restarts FROM jobs WHERE cluster = :cluster"
            "  AND ended_at >= :reached AND MIN(started_at, COALESCE(baseline_at, started_at))"
            "  < :until)",
            cluster=cluster,
            reached=max(start_at - EDGE_S, ended_since_at),
            until=end_at + EDGE_S,
        )

    def settlement(self, key: JobKey) -> Settlement | None:
        """A job's figures as last settled."""
        row = self._file.row(f"SELECT * FROM settlements WHERE {KEY_MATCH}", **asdict(key))
        if row is None:
            return None
        fields = {name: row[name] for name in Settlement.__dataclass_fields__ if name != "key"}
        fields["sources"] = tuple(json.loads(row["sources"]))
        fields["domains"] = read_domains(row["domains"])
        fields["quality"] = Quality(row["quality"])
        fields["exact_mg"] = None if row["exact_mg"] is None else Fraction(row["exact_mg"])
        fields.update({name: bool(row[name]) for name in _FLAGS})
        return Settlement(key=key, **fields)


def read_domains(text: str) -> dict[Domain, int]:
    """Joules by part of the node, as the ledger keeps them."""
    return {Domain(name): energy_j for name, energy_j in json.loads(text).items()}


def release_or_reserve(mg: int) -> EntryKind:
    """The kind of a reservation's change by its sign."""
    return EntryKind.RESERVE if mg > 0 else EntryKind.RELEASE
