"""When a job is to start, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from carbonsched.model.job import JobKey
from carbonsched.units import format_mass


class Reason(StrEnum):
    """Why a job starts when it does; ``SHADOW``: its plan was later, and is not carried out."""

    CLEANER = "cleaner"
    NOT_DEFERRABLE = "not-deferrable"
    GAIN_TOO_SMALL = "gain-too-small"
    NO_FORECAST = "no-forecast"
    FORECAST_TOO_SHORT = "forecast-too-short"
    NO_ROOM = "no-room"
    QUOTA = "quota"
    USER_BEGIN = "user-begin"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The chosen start of one job beside the start it could have had.

    ``expected_mg`` and ``baseline_mg`` are by the same forecast and prediction, with PUE;
    ``None`` where there was no forecast to reckon with. ``best_mg`` is that of the cleanest start
    within the job's bounds, had the cluster room for it at any time. ``cluster`` is where it is to
    run, which may be another than where it waits; ``None`` where nobody asks. A ``shadow`` plan is
    kept, no more. ``in_pieces``: it starts the first of several, and the masses are of one go.
    """

    key: JobKey
    made_at: int
    start_at: int
    baseline_at: int
    latest_at: int
    reason: Reason
    text: str
    expected_mg: int | None = None
    baseline_mg: int | None = None
    forecast_issued_at: int | None = None
    provider: str | None = None
    shadow: bool = False
    best_mg: int | None = None
    cluster: str | None = None
    in_pieces: bool = False

    @property
    def carried_out(self) -> Plan:
        """What becomes of it: of a deferral in shadow mode the start that the job could have had.

        Any other plan is carried out as it is.
        """
        if not (self.shadow and self.deferred):
            return self
        return replace(
            self,
            start_at=self.baseline_at,
            expected_mg=self.baseline_mg,
            reason=Reason.SHADOW,
            text=f"starts when Slurm has room (shadow mode); by its plan: {self.text}",
        )

    @property
    def deferred(self) -> bool:
        """Whether the job waits for more than the moment of planning."""
        return self.start_at > self.baseline_at

    @property
    def saved_mg(self) -> int | None:
        """Milligrams expected to be saved against the baseline."""
        if self.expected_mg is None or self.baseline_mg is None:
            return None
        return self.baseline_mg - self.expected_mg


def three_masses(now_mg: int | None, plan_mg: int | None, best_mg: int | None) -> str:
    """``508 g if started now, 412 g by its plan, 400 g at best``: as many as are known."""
    known = (
        (now_mg, "if started now"),
        (plan_mg, "by its plan"),
        (best_mg, "at best, whatever the room"),
    )
    return ", ".join(f"{format_mass(mg)} {what}" for mg, what in known if mg is not None)
