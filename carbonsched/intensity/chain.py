"""A zone's providers in order of preference, each left alone for a while after it failed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from carbonsched.errors import ProviderError
from carbonsched.intensity.http.silence import PacedError, RateLimitedError
from carbonsched.intensity.periods import uncovered
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo
from carbonsched.ports import Clock, IntensityProvider

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
Operation = Literal["actual", "forecast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A provider that is being left alone from ``failed_at`` until ``until_at``."""

    provider: str
    operation: Operation
    failed_at: int
    until_at: int
    times: int
    text: str

    def holds(self, now: int) -> bool:
        """Whether the provider is still left alone; not after a clock was set back."""
        return self.failed_at <= now < self.until_at


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """How long a provider is left alone: doubling from the first to the longest wait.

    The second pair is for a refusal, which asking again seldom mends: a wrong key, zone or plan.
    """

    first_s: int = 60
    longest_s: int = 900
    refused_first_s: int = 300
    refused_longest_s: int = 3600

    def wait_s(self, error: ProviderError, times: int) -> int:
        """Seconds after so many failures in a row, or more where the service says so."""
        first_s, longest_s = self.first_s, self.longest_s
        if not error.retryable:
            first_s, longest_s = self.refused_first_s, self.refused_longest_s
        wait_s = int(min(first_s * 2 ** min(times - 1, 30), longest_s))
        return max(wait_s, error.wait_s) if isinstance(error, RateLimitedError) else wait_s


class Chain:
    """Asks each provider of one zone in turn; what each tells keeps its own label."""

    def __init__(
        self,
        zone: str,
        providers: Sequence[IntensityProvider],
        clock: Clock,
        *,
        back_off: BackOff | None = None,
    ) -> None:
        """The first provider is the one the site prefers."""
        if not providers:
            raise ValueError(f"zone {zone} has no provider")
        self._zone = zone
        self._providers = tuple(providers)
        self._clock = clock
        self._back_off = back_off or BackOff()
        self._failures: dict[tuple[int, Operation], Failure] = {}
        self._paced: dict[Operation, dict[str, str]] = {"actual": {}, "forecast": {}}

    @property
    def zone(self) -> str:
        """The zone's name in the configuration."""
        return self._zone

    @property
    def infos(self) -> tuple[SeriesInfo, ...]:
        """What each provider's numbers mean, in order of preference."""
        return tuple(provider.info for provider in self._providers)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Who failed at the last attempt, in order of preference; gone once it answers."""
        return tuple(self._failures[key] for key in sorted(self._failures))

    @property
    def problems(self) -> tuple[str, ...]:
        """The failures as lines for people, such as ``neso: timed out after 10 s``."""
        return tuple(dict.fromkeys(failure.text for failure in self.failures))

    def paced(self, operation: Operation) -> Mapping[str, str]:
        """The provider whose turn had not come at the last attempt, if any, and why as a line."""
        return self._paced[operation]

    def actuals(
        self, start_at: int, end_at: int, *, settle_lag_s: int = 0
    ) -> tuple[IntensitySeries, ...]:
        """One series for each provider in order of preference, empty where it has nothing.

        A later provider is asked only where earlier ones left a gap in what they have had
        ``settle_lag_s`` to deliver. A provider that fails has an empty series and a failure, so
        that positions keep their meaning for :func:`carbonsched.intensity.resolve.resolve`. Behind
        one whose turn has not come nobody is asked: it is well, and will answer soon.
        """
        now = self._clock.now()
        self._paced["actual"] = {}
        due_at = min(end_at, now - settle_lag_s)
        series: list[IntensitySeries] = []
        known: list[Point] = []
        for index, provider in enumerate(self._providers):
            told = None
            ask = index == 0 or uncovered(known, start_at, due_at)
            if ask and not self._paced["actual"]:
                told = self._ask(index, "actual", partial(provider.actual, start_at, end_at))
            if told is None:
                told = IntensitySeries(info=provider.info, fetched_at=now, points=())
            known += told.points
            series.append(told)
        return tuple(series)

    def forecast(self, now: int | None = None) -> Forecast | None:
        """The first provider's latest forecast that reaches beyond now; its info says whose.

        ``None`` where no provider has one, those that do have failed, or the turn of one has not
        come: what it told a short while ago is better than another's word.
        """
        self._paced["forecast"] = {}
        at = self._clock.now() if now is None else now
        for index, provider in enumerate(self._providers):
            forecast = self._ask(index, "forecast", partial(provider.forecast, at))
            if forecast is not None and (forecast.ends_at or 0) > at:
                return forecast
            if self._paced["forecast"]:
                return None
        return None

    def _ask(
        self, index: int, operation: Operation, question: Callable[[], _Answer]
    ) -> _Answer | None:
        """The answer; ``None`` where a provider fails, is left alone, or its turn has not come."""
        key = (index, operation)
        now = self._clock.now()
        earlier = self._failures.get(key)
        if earlier is not None and earlier.holds(now):
            return None
        try:
            answer = question()
        except PacedError as error:
            self._paced[operation][self._name(index)] = str(error)
            return None
        except ProviderError as error:
            self._failures[key] = self._failure(index, operation, error, earlier)
            return None
        if self._failures.pop(key, None) is not None:
            _log.info("zone %s: %s answers again", self._zone, self._name(index))
        return answer

    def _failure(
        self, index: int, operation: Operation, error: ProviderError, earlier: Failure | None
    ) -> Failure:
        times = 1 if earlier is None else earlier.times + 1
        now = self._clock.now()
        wait_s = self._back_off.wait_s(error, times)
        _log.warning("zone %s: %s (asked again in %d s)", self._zone, error, wait_s)
        return Failure(
            provider=self._name(index),
            operation=operation,
            failed_at=now,
            until_at=now + wait_s,
            times=times,
            text=str(error),
        )

    def _name(self, index: int) -> str:
        return self._providers[index].info.provider
