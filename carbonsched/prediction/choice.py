"""Which of several predictions to believe."""

from __future__ import annotations

from dataclasses import replace

from carbonsched.model.prediction import Prediction


def choose(
    by_epochs: Prediction | None, by_history: Prediction | None, by_limits: Prediction | None
) -> Prediction | None:
    """The best founded: the job's own epochs, else earlier jobs, else what it declares.

    The explanation of the one chosen says why it was, and warns where epochs show that the job
    will not end within its limit.
    """
    if by_epochs is not None:
        words = f"{by_epochs.explanation}: its own epochs tell most"
        if by_limits is not None and by_epochs.duration_s > by_limits.duration_s:
            words += "; it is not expected to end within its time limit"
        return replace(by_epochs, explanation=words)
    if by_history is not None:
        return replace(by_history, explanation=f"{by_history.explanation}: it marked no epoch yet")
    if by_limits is not None:
        words = f"{by_limits.explanation}: neither epochs nor earlier jobs like it are known"
        return replace(by_limits, explanation=words)
    return None
