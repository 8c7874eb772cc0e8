"""One number for a zone and year: the last resort, and flagged as such."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.ports import Clock

PERIOD_S = 300
"""Its value comes in periods of the five-minute clock, so that asking twice gives equal points."""


class StaticProvider:
    """A constant. It has no forecast, for a constant cannot tell one hour from another."""

    def __init__(self, *, info: SeriesInfo, mg_per_kwh: int, clock: Clock) -> None:
        """``info.static`` must be true, or the fallback could not be seen in a report."""
        if not info.static or mg_per_kwh <= 0:
            raise ValueError("a static value is positive and its info says static")
        self._info = info
        self._mg_per_kwh = mg_per_kwh
        self._clock = clock

    @property
    def info(self) -> SeriesInfo:
        """What the number means, whose it is and of which year."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The constant for every five minutes that touch the interval and are over."""
        now = self._clock.now()
        first = start_at - start_at % PERIOD_S
        starts = range(first, min(end_at, now - PERIOD_S + 1), PERIOD_S)
        points = tuple(Point(at, at + PERIOD_S, self._mg_per_kwh) for at in starts)
        return IntensitySeries(info=self._info, fetched_at=now, points=points)

    def forecast(self, now: int) -> Forecast | None:  # noqa: ARG002 - the port's signature
        """Always ``None``: nothing is deferred for a constant."""
        return None
