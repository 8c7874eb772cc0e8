"""What is left of a job that was stopped and goes on, by what is predicted of the whole."""

from __future__ import annotations

from dataclasses import replace

from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.model.stop import Stop


def rest_of(whole: Prediction, before: Stop, cost_s: int) -> Prediction:
    """What is predicted of a run that goes on after a stop, by what is predicted of such a job.

    Its own epochs tell of this run already.
    """
    if whole.source is PredictionSource.EPOCHS:
        return whole
    duration_s = before.left_s + cost_s
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
