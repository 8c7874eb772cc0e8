"""The facility's PUE: declared once, by a table of dates, or as a file or Prometheus tells it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from carbonsched.errors import ProviderError, ProviderUnavailableError
from carbonsched.ledger import Ledger
from carbonsched.ledger.pues import PueTable
from carbonsched.model.pue import PuePoint
from carbonsched.ports import Clock, Pue, PueReader, PueValue
from carbonsched.services.ticks import Writer
from carbonsched.units import PPM

LONGEST_S = 31 * 86_400
"""How far back a fetch asks where nothing newer is archived."""
LATEST_WITHIN_S = 7 * 86_400
"""How old the latest known value may be and still be planned with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantPue:
    """One number for all time."""

    pue_ppm: int

    def over(self, _start_at: int, _end_at: int) -> PueValue:
        """The number."""
        return PueValue(self.pue_ppm, "declared")

    def within(self, _start_at: int, _end_at: int) -> Pue:
        """Itself."""
        return self

    @property
    def now_ppm(self) -> int:
        """The number."""
        return self.pue_ppm


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """A PUE that holds from a local day until the next one's."""

    day: date
    pue_ppm: int


class TablePue:
    """Numbers with the dates from which they hold.

    The first also holds for all time before its date, as whoever declared it knows nothing better
    of that time; the source then says so. Otherwise what was metered before it would never be
    charged.
    """

    def __init__(self, table: Sequence[Since], time_zone: str, clock: Clock) -> None:
        """The table in order, at least one line; its days are those of the time zone."""
        zone = ZoneInfo(time_zone)
        self._table = tuple(table)
        self._starts = [_midnight(one.day, zone) for one in table]
        self._clock = clock

    def over(self, start_at: int, end_at: int) -> PueValue:
        """The mean over the interval, exact but for the rounding."""
        first, last = self._place(start_at), self._place(end_at - 1)
        pieces = []
        for index in range(first, last + 1):
            begin_at = start_at if index == first else self._starts[index]
            until_at = end_at if index == last else self._starts[index + 1]
            pieces.append(PuePoint(begin_at, until_at, self._table[index].pue_ppm))
        dates = [self._table[index].day.isoformat() for index in range(first, last + 1)]
        before = "before and " if start_at < self._starts[0] else ""
        return PueValue(_mean_ppm(pieces), f"declared {before}since {' and '.join(dates)}")

    def within(self, _start_at: int, _end_at: int) -> Pue:
        """Itself."""
        return self

    @property
    def now_ppm(self) -> int:
        """Today's."""
        return self._table[self._place(self._clock.now())].pue_ppm

    def _place(self, at: int) -> int:
        return max(0, bisect_right(self._starts, at) - 1)


class ArchivedPue:
    """What a file or Prometheus told, from the ledger, and the site's own number where it did not.

    The number, ``fallback``, is required: there must be something to plan with before anything was
    told, and a service that stays silent must not keep jobs uncharged for ever. It never stands in
    silently: only for time of which nothing is known ``settle_lag_s`` after it passed, and the
    source then says "fallback". What is told later counts from then on; jobs that are final by then
    keep their charge, as with intensities.
    """

    def __init__(
        self,
        cluster: str,
        table: PueTable,
        fallback_ppm: int,
        settle_lag_s: int,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._table = table
        self._fallback_ppm = fallback_ppm
        self._settle_lag_s = settle_lag_s
        self._clock = clock

    def over(self, start_at: int, end_at: int) -> PueValue | None:
        """The mean of what is archived, and of the fallback where that is due."""
        return self.within(start_at, end_at).over(start_at, end_at)

    def within(self, start_at: int, end_at: int) -> Pue:
        """The archive's values of an interval, read once."""
        return KnownPue(
            self._table.between(self._cluster, start_at, end_at),
            self._fallback_ppm,
            self._clock.now() - self._settle_lag_s,
            self.now_ppm,
        )

    @property
    def now_ppm(self) -> int:
        """The latest value of the last seven days, else the fallback."""
        now = self._clock.now()
        latest = self._table.latest(self._cluster, now)
        if latest is None or latest.end_at < now - LATEST_WITHIN_S:
            return self._fallback_ppm
        return latest.pue_ppm


class KnownPue:
    """Archived values of one interval, in order; gaps before ``due_at`` are the fallback's."""

    def __init__(
        self, points: Sequence[PuePoint], fallback_ppm: int, due_at: int, now_ppm: int
    ) -> None:
        self._points = tuple(points)
        self._starts = [point.start_at for point in points]
        self._fallback = f"fallback {fallback_ppm / PPM:g}"
        self._fallback_ppm = fallback_ppm
        self._due_at = due_at
        self._now_ppm = now_ppm

    def over(self, start_at: int, end_at: int) -> PueValue | None:
        """The mean over an interval; ``None`` where a part is neither known nor due."""
        pieces = list(self._pieces(start_at, end_at))
        for piece in pieces:
            if piece.source == self._fallback and piece.end_at > self._due_at:
                return None
        sources = dict.fromkeys(piece.source for piece in pieces)
        return PueValue(_mean_ppm(pieces), "; ".join(sorted(sources)))

    def within(self, _start_at: int, _end_at: int) -> Pue:
        """Itself."""
        return self

    @property
    def now_ppm(self) -> int:
        """As when it was read."""
        return self._now_ppm

    def _pieces(self, start_at: int, end_at: int) -> Iterator[PuePoint]:
        """The interval without gaps: what is known, and the fallback between."""
        reached = start_at
        for point in self._points[max(0, bisect_right(self._starts, start_at) - 1) :]:
            if point.start_at >= end_at:
                break
            begin_at, until_at = max(point.start_at, reached), min(point.end_at, end_at)
            if begin_at >= until_at:
                continue
            if begin_at > reached:
                yield PuePoint(reached, begin_at, self._fallback_ppm, self._fallback)
            yield PuePoint(begin_at, until_at, point.pue_ppm, point.source)
            reached = until_at
        if reached < end_at:
            yield PuePoint(reached, end_at, self._fallback_ppm, self._fallback)


class FetchPue:
    """Asks each cluster's file or service for what is new, and archives it as told."""

    def __init__(
        self, readers: Mapping[str, PueReader], ledger: Ledger, clock: Clock, writer: Writer
    ) -> None:
        """The readers by cluster; ``writer`` is held to archive, never while one is asked."""
        self._writer = writer
        self._readers = readers
        self._ledger = ledger
        self._clock = clock

    def run(self) -> str:
        """Fetch for every cluster; one that fails does not keep the others from being fetched.

        Raises:
            ProviderUnavailableError: what failed or had to be kept out, once all have been asked.
        """
        points = 0
        problems: list[str] = []
        for cluster, reader in self._readers.items():
            try:
                points += self._fetch(cluster, reader, problems)
            except ProviderError as error:
                problems.append(f"PUE of cluster {cluster}: {error}")
        if problems:
            raise ProviderUnavailableError("; ".join(dict.fromkeys(problems)))
        return f"{points} new values"

    def _fetch(self, cluster: str, reader: PueReader, problems: list[str]) -> int:
        """From the last archived value on, and the recent past again, at most 31 days."""
        now = self._clock.now()
        latest = self._ledger.pues.latest(cluster, now)
        known_until = min(latest.end_at, now) if latest is not None else 0
        start_at = max(known_until - reader.asks_again_s, now - LONGEST_S)
        fresh = told_any = 0
        while start_at < now:
            end_at = min(start_at + reader.most_s, now)
            told = reader.read(start_at, end_at)
            told_any += len(told.points)
            with self._writer():
                fresh += self._ledger.pues.add(cluster, told.points, now)
            if told.fault is not None:
                problems.append(f"PUE of cluster {cluster}: {told.fault}")
            start_at = end_at
        if not told_any:
            problems.append(f"PUE of cluster {cluster}: {reader.source} tells no value of late")
        return fresh


def _midnight(day: date, zone: ZoneInfo) -> int:
    """The first instant of a local day; the clock's jump where that day has no midnight."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone, fold=0).timestamp())


def _mean_ppm(pieces: Sequence[PuePoint]) -> int:
    """The time-weighted mean of pieces that follow on each other, rounded once."""
    weighted = sum(piece.pue_ppm * (piece.end_at - piece.start_at) for piece in pieces)
    return round(Fraction(weighted, pieces[-1].end_at - pieces[0].start_at))
