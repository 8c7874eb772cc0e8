"""What plans are made of, in short."""

from __future__ import annotations

from collections.abc import Sequence

from carbonsched.model.intensity import Forecast, Point, SeriesInfo
from carbonsched.model.prediction import Prediction, PredictionSource

HOUR = 3600


def prediction(duration_s: int, energy_j: int) -> Prediction:
    return Prediction.certain(PredictionSource.LIMITS, duration_s, energy_j, "test")


def forecast(grams: Sequence[int], start_at: int) -> Forecast:
    """Grams per kWh by the hour."""
    points = tuple(
        Point(start_at + HOUR * i, start_at + HOUR * (i + 1), 1000 * g) for i, g in enumerate(grams)
    )
    info = SeriesInfo(provider="test", zone="DE")
    return Forecast(info=info, issued_at=start_at, points=points)
