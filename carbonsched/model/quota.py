"""Monthly carbon budgets of users and accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Subject:
    """Who holds a quota."""

    kind: Literal["user", "account"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Period:
    """A calendar month of the site's time zone, half-open, named ``2026-11``."""

    name: str
    start_at: int
    end_at: int

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise ValueError("a period ends after it starts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A subject's standing in one period, in milligrams."""

    subject: Subject
    period: Period
    budget_mg: int
    granted_mg: int = 0
    charged_mg: int = 0
    reserved_mg: int = 0

    @property
    def remaining_mg(self) -> int:
        """What may still be reserved; negative when overdrawn."""
        return self.budget_mg + self.granted_mg - self.charged_mg - self.reserved_mg
