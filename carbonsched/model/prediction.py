"""What a job is expected to need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

_DURATIONS = (
    *("duration_low_s", "duration_p25_s", "duration_s", "duration_p75_s", "duration_high_s"),
)
_ENERGIES = ("energy_low_j", "energy_p25_j", "energy_j", "energy_p75_j", "energy_high_j")


class PredictionSource(StrEnum):
    """What a prediction rests on, best first."""

    EPOCHS = "epochs"
    HISTORY = "history"
    LIMITS = "limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A whole job's duration and energy, with the intervals that should hold the outcomes.

    Of 90 % of jobs ``low`` to ``high``, of 50 % ``p25`` to ``p75``, which are ``None``, all four,
    in predictions of before they were kept. Energy is at the meter, before PUE. ``samples`` counts
    the epochs or earlier jobs behind it.
    """

    source: PredictionSource
    samples: int
    duration_s: int
    duration_low_s: int
    duration_p25_s: int | None
    duration_p75_s: int | None
    duration_high_s: int
    energy_j: int
    energy_low_j: int
    energy_p25_j: int | None
    energy_p75_j: int | None
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
            duration_p25_s=duration_s,
            duration_p75_s=duration_s,
            duration_high_s=duration_s,
            energy_j=energy_j,
            energy_low_j=energy_j,
            energy_p25_j=energy_j,
            energy_p75_j=energy_j,
            energy_high_j=energy_j,
            method=method,
            explanation="",
        )

    def __post_init__(self) -> None:
        durations, energies = self._known(_DURATIONS), self._known(_ENERGIES)
        if durations[0] < 1 or durations != sorted(durations):
            raise ValueError("the predicted duration lies outside its interval")
        if energies[0] < 0 or energies != sorted(energies):
            raise ValueError("the predicted energy lies outside its interval")
        if {len(durations), len(energies)} not in ({3}, {5}):
            raise ValueError("a prediction has all of its quartiles or none")

    def each(
        self,
        *,
        duration: Callable[[int], int] | None = None,
        energy: Callable[[int], int] | None = None,
    ) -> Prediction:
        """The same with its figures put through functions that keep their order."""
        changed: dict[str, Any] = {}
        for names, change in ((_DURATIONS, duration), (_ENERGIES, energy)):
            if change is not None:
                for name in names:
                    value = getattr(self, name)
                    changed[name] = None if value is None else change(value)
        return replace(self, **changed)

    def about(self, duration_s: int) -> Prediction:
        """The same about another duration; intervals are stretched to hold it."""
        changed: dict[str, Any] = {"duration_s": duration_s}
        for names, nearest in ((_DURATIONS[:2], min), (_DURATIONS[3:], max)):
            for name in names:
                value = getattr(self, name)
                changed[name] = None if value is None else nearest(value, duration_s)
        return replace(self, **changed)

    def _known(self, names: tuple[str, ...]) -> list[int]:
        return [value for name in names if (value := getattr(self, name)) is not None]
