"""The ledger's append-only lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from carbonsched.model.job import JobKey


class EntryKind(StrEnum):
    """What a line does to its subjects' balance."""

    RESERVE = "reserve"
    RELEASE = "release"
    CHARGE = "charge"
    ADJUST = "adjust"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line: ``mg`` milligrams (signed) on a job's user and account in a period.

    ``idempotency_key`` is unique: the same event posted again changes nothing. ``provenance`` says
    how the figure was obtained (meter quality, providers, PUE, method version).
    """

    kind: EntryKind
    key: JobKey
    user: str
    account: str
    period: str
    at: int
    mg: int
    energy_j: int
    idempotency_key: str
    provenance: dict[str, Any] = field(default_factory=dict)
