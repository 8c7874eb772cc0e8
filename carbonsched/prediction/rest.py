"""What is left of a job that was stopped and goes on, by what is predicted of the whole."""

from __future__ import annotations

from dataclasses import replace

from carbonsched.model.prediction import Prediction


def rest_of(whole: Prediction, left_s: int, cost_s: int) -> Prediction:
    """The prediction of what is left, at the whole's power, and of what the stop costs on top."""
    duration_s = left_s + cost_s
    share = duration_s / whole.duration_s
    return replace(
        whole,
        duration_s=duration_s,
        duration_low_s=max(1, round(whole.duration_low_s * share)),
        duration_high_s=max(1, round(whole.duration_high_s * share)),
        energy_j=max(1, round(whole.energy_j * share)),
        energy_low_j=round(whole.energy_low_j * share),
        energy_high_j=max(1, round(whole.energy_high_j * share)),
        explanation=f"{whole.explanation}; this run goes on after a stop, so what is left of it",
    )
