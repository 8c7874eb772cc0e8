"""What is known of a zone's intensity: behind us, ahead of us, and from whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from carbonsched.intensity.resolve import Resolved, resolve
from carbonsched.ledger.archive import Archive
from carbonsched.model.intensity import Forecast, IntensitySeries, SeriesInfo, StepSeries

LATEST_WITHIN_S = 7 * 86_400
"""How old the latest known value may be and still stand in for a missing forecast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """An expected mean intensity and what it rests on."""

    mean_mg_per_kwh: Fraction
    label: str


class Grid:
    """Reads the archive; ``chains`` holds what each zone's providers tell, best first."""

    def __init__(
        self,
        archive: Archive,
        chains: Mapping[str, Sequence[SeriesInfo]],
        settle_lag_s: int,
    ) -> None:
        self._archive = archive
        self._chains = chains
        self._settle_lag_s = settle_lag_s

    def forecast(self, zone: str, now: int) -> Forecast | None:
        """The newest forecast that the archive held by ``now``."""
        return self._archive.forecast(zone, now)

    def actual(self, zone: str, start_at: int, end_at: int, now: int) -> tuple[Resolved, ...]:
        """The intensity that counts over an interval, in pieces, with gaps where none does."""
        return resolve(
            self._series(zone, start_at, end_at), start_at, end_at, now, self._settle_lag_s
        )

    def expected(self, zone: str, start_at: int, end_at: int, now: int) -> Ahead | None:
        """The mean to expect over an interval, by forecast, else by the latest known value."""
        forecast = self.forecast(zone, now)
        if forecast is not None:
            mean = _mean_of_most(StepSeries(forecast.points), max(start_at, now), end_at)
            if mean is not None:
                return Ahead(mean_mg_per_kwh=mean, label=forecast.info.label)
        latest = self.actual(zone, now - LATEST_WITHIN_S, now, now)
        if not latest:
            return None
        value = Fraction(latest[-1].mg_per_kwh)
        return Ahead(mean_mg_per_kwh=value, label=f"latest value of {latest[-1].info.label}")

    def _series(self, zone: str, start_at: int, end_at: int) -> list[IntensitySeries]:
        """One entry for each provider of the chain, empty where the archive has nothing."""
        told = self._archive.actuals(zone, start_at, end_at)
        ordered: list[IntensitySeries] = []
        for info in self._chains.get(zone, ()):
            found = [one for one in told if one.info.provider == info.provider]
            ordered += found or [IntensitySeries(info=info, fetched_at=0, points=())]
        return ordered


def _mean_of_most(steps: StepSeries, start_at: int, end_at: int) -> Fraction | None:
    """The mean over an interval, or over the part that the series reaches if that is half of it."""
    if end_at <= start_at or not steps.points:
        return None
    known_until = min(end_at, steps.points[-1].end_at)
    if known_until - start_at < (end_at - start_at) / 2:
        return None
    return steps.mean(start_at, known_until)
