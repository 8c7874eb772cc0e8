"""A zone's intensity for the next days, from its own past and from its provider's forecasts.

Pure: NumPy and the model's types. ``docs/explanation/forecasting.md`` has the method and what it
is worth on recorded data.
"""

from carbonsched.forecasting.forecaster import ENOUGH_H, Forecaster
from carbonsched.forecasting.hours import HOUR_S, Hourly, HourlyForecast, HourlyIssue

__all__ = ["ENOUGH_H", "HOUR_S", "Forecaster", "Hourly", "HourlyForecast", "HourlyIssue"]
