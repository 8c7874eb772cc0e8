"""What is known of a zone's intensity: behind us, ahead of us, and from whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from carbonsched.intensity.resolve import Resolved, resolve
from carbonsched.ledger.archive import Archive
from carbonsched.ledger.issues import Issue
from carbonsched.model.intensity import Forecast, IntensitySeries, SeriesInfo, StepSeries

LATEST_WITHIN_S = 7 * 86_400
"""How old the latest known value may be and still stand in for a missing forecast."""
OWN = "carbonsched"
"""The provider's name under which our own forecasts are archived."""
OWN_WITHIN_S = 2 * 3600
"""How old our own forecast may be and still go before the providers' newest."""
ESTIMATED_WITHIN_S = 14 * 86_400
"""How long a measured value is awaited in place of one that its provider calls an estimate."""
Choice = Literal["own", "provider"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """An expected mean intensity and what it rests on; not ``foretold``: on what was last known."""

    mean_mg_per_kwh: Fraction
    label: str
    foretold: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Whose word is asked for in one zone: ``chain`` for what counts, best first.

    ``ranking`` may be marginal: plans compare hours by it, and nothing is ever charged by it.
    ``forecast`` says whose goes first, where there is one: our own or the providers'.
    """

    chain: tuple[SeriesInfo, ...]
    ranking: tuple[SeriesInfo, ...] = ()
    forecast: Choice = "own"

    @property
    def own(self) -> SeriesInfo | None:
        """Under what our own forecasts go: they mean what the preferred provider's figures do."""
        return own_info(self.chain[0]) if self.chain else None


class Grid:
    """Reads the archive for the site's zones."""

    def __init__(
        self,
        archive: Archive,
        zones: Mapping[str, Zone | Sequence[SeriesInfo]],
        settle_lag_s: int,
    ) -> None:
        """A zone may be given as its chain alone."""
        self._archive = archive
        self._zones = {
            name: one if isinstance(one, Zone) else Zone(chain=tuple(one))
            for name, one in zones.items()
        }
        self._settle_lag_s = settle_lag_s

    @property
    def zones(self) -> Mapping[str, Zone]:
        """Whose word is asked for, by the zone's name."""
        return self._zones

    def forecast(self, zone: str, now: int) -> Forecast | None:
        """The forecast to go by, of those that the archive held by ``now``."""
        issue = self.issue(zone, now)
        return issue.forecast if issue else None

    def issue(self, zone: str, now: int) -> Issue | None:
        """The same with the time from which it was known here."""
        known = self._zones.get(zone)
        if known is None:
            return None
        own = self._archive.issues.latest([known.own], now, now) if known.own else None
        if own is not None and known.forecast == "own" and _fresh(own, now):
            return own
        return self._archive.issues.latest(known.chain, now, now)

    def ranking(self, zone: str, now: int) -> Forecast | None:
        """What to compare hours by where the zone has a signal for that; not grams to expect."""
        known = self._zones.get(zone)
        if known is None or not known.ranking:
            return None
        issue = self._archive.issues.latest(known.ranking, now, now)
        if issue is None or (issue.forecast.ends_at or 0) <= now:
            return None
        return issue.forecast

    def actual(self, zone: str, start_at: int, end_at: int, now: int) -> tuple[Resolved, ...]:
        """The intensity that counts over an interval, in pieces, with gaps where none does."""
        return resolve(
            self._series(zone, start_at, end_at), start_at, end_at, now, self._settle_lag_s
        )

    def settles_at(self, pieces: Sequence[Resolved]) -> int:
        """From when none of these values is expected to change any more.

        That is once the period lies ``settle_lag`` back, and a value that its provider calls an
        estimate has waited two weeks for a measured one. A revision after that opens the jobs
        again (:mod:`carbonsched.services.reopen`).
        """
        return max(
            (
                piece.end_at + max(self._settle_lag_s, ESTIMATED_WITHIN_S if piece.estimated else 0)
                for piece in pieces
            ),
            default=0,
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
        label = f"latest value of {latest[-1].info.label}"
        return Ahead(mean_mg_per_kwh=value, label=label, foretold=False)

    def _series(self, zone: str, start_at: int, end_at: int) -> list[IntensitySeries]:
        """At least one entry for each provider of the chain, empty where it told nothing.

        Only what has the chain's own meaning: a provider may tell other signals of the zone too.
        """
        known = self._zones.get(zone)
        ordered: list[IntensitySeries] = []
        for info in known.chain if known else ():
            found = self._archive.actual_as_of(info, start_at, end_at)
            ordered += found or [IntensitySeries(info=info, fetched_at=0, points=())]
        return ordered


def own_info(info: SeriesInfo) -> SeriesInfo:
    """What our own forecast of a provider's figures is."""
    return replace(info, provider=OWN, static=False, note="")


def _fresh(own: Issue, now: int) -> bool:
    return own.forecast.issued_at > now - OWN_WITHIN_S and (own.forecast.ends_at or 0) > now


def _mean_of_most(steps: StepSeries, start_at: int, end_at: int) -> Fraction | None:
    """The mean over an interval, or over the part that the series reaches if that is half of it."""
    if end_at <= start_at or not steps.points:
        return None
    known_until = min(end_at, steps.points[-1].end_at)
    if known_until - start_at < (end_at - start_at) / 2:
        return None
    return steps.mean(start_at, known_until)
