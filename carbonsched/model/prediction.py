"""What a job is expected to need."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PredictionSource(StrEnum):
    """What a prediction rests on, best first."""

    EPOCHS = "epochs"
    HISTORY = "history"
    LIMITS = "limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A whole job's duration and energy, with the interval that should hold 90 % of outcomes.

    Energy is at the meter, before PUE. ``samples`` counts the epochs or earlier jobs behind it.
    """

    source: PredictionSource
    samples: int
    duration_s: int
    duration_low_s: int
    duration_high_s: int
    energy_j: int
    energy_low_j: int
    energy_high_j: int
    method: str
    explanation: str

    @classmethod
    def certain(
        cls, source: PredictionSource, duration_s: int, energy_j: int, method: str
    ) -> Prediction:
        """One without doubt: its intervals are points."""
        return cls(
            source=source,
            samples=0,
            duration_s=duration_s,
            duration_low_s=duration_s,
            duration_high_s=duration_s,
            energy_j=energy_j,
            energy_low_j=energy_j,
            energy_high_j=energy_j,
            method=method,
            explanation="",
        )

    def __post_init__(self) -> None:
        if not 0 < self.duration_low_s <= self.duration_s <= self.duration_high_s:
            raise ValueError("the predicted duration lies outside its interval")
        if not 0 <= self.energy_low_j <= self.energy_j <= self.energy_high_j:
            raise ValueError("the predicted energy lies outside its interval")
