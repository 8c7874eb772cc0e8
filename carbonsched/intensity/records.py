"""Recorded intensity and forecasts as CSV files, plain or compressed by gzip.

Columns, in any order: actual values ``start,g_per_kwh`` and perhaps ``end`` and ``estimated`` (true
or false: the source's own flag); forecasts
``issued,start,g_per_kwh`` and perhaps ``end``. A column ``zone`` picks rows; others are ignored.
Times are ISO with an offset, or epoch seconds. Without ``end`` a period lasts as long as is usual
in its file, at most to the next one's start.
"""

from __future__ import annotations

import csv
import gzip
import io
import logging
import stat
import zlib
from bisect import bisect_left
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Protocol

from carbonsched.errors import ProviderMalformedError, ProviderUnavailableError
from carbonsched.intensity.periods import ContradictionError, ordered, usual_step
from carbonsched.intensity.values import mg_from_text, parse_instant
from carbonsched.model.intensity import Point

_log = logging.getLogger(__name__)
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One recorded forecast."""

    issued_at: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was recorded: points in time order, forecasts in order of issue."""

    actual: tuple[Point, ...]
    issues: tuple[Issue, ...] = ()


class RecordSource(Protocol):
    """Where a record comes from."""

    def read(self) -> Record:
        """The record as it stands now.

        Raises:
            ProviderError: unreadable or wrong, in one line.
        """
        ...


class CsvRecords:
    """One CSV of actual values and perhaps one of forecasts, read again whenever they change."""

    def __init__(
        self,
        *,
        name: str,
        actual: Traversable | None,
        forecasts: Traversable | None = None,
        zone: str | None = None,
    ) -> None:
        """``name`` begins every error; ``zone`` picks rows where a file has that column.

        ``actual`` may be missing where forecasts alone are read.
        """
        self._name = name
        self._actual = actual
        self._forecasts = forecasts
        self._zone = zone
        self._held: tuple[object, Record] | None = None

    def read(self) -> Record:
        """The record; parsed anew only when a file is another than before."""
        stamp = (self._stamp(self._actual), self._stamp(self._forecasts))
        if self._held is None or self._held[0] != stamp:
            self._held = (stamp, self._parse())
        return self._held[1]

    def _parse(self) -> Record:
        actual = self._table(self._actual, issued=False) if self._actual else None
        forecasts = self._table(self._forecasts, issued=True) if self._forecasts else None
        points = actual.points().get(None, ()) if actual else ()
        issues = forecasts.points() if forecasts else {}
        return Record(
            actual=points,
            issues=tuple(
                Issue(issued_at=at, points=issues[at])
                for at in sorted(at for at in issues if at is not None)
            ),
        )

    def _table(self, path: Traversable, *, issued: bool) -> _Table:
        where = f"{self._name}: {path}"
        try:
            text = _text(path)
        except FileNotFoundError:
            raise ProviderUnavailableError(f"{where}: there is no such file") from None
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise ProviderMalformedError(f"{where}: the gzip file is damaged or torn") from None
        except OSError as error:
            raise ProviderUnavailableError(f"{where}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise ProviderMalformedError(f"{where}: is not UTF-8 text") from None
        table = _Table(where, issued=issued, zone=self._zone)
        table.read(text)
        return table

    def _stamp(self, path: Traversable | None) -> object:
        if not isinstance(path, Path):
            return None  # shipped inside the package: never another
        try:
            status = path.stat()
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):  # a pipe would block, a device never end
            raise ProviderUnavailableError(f"{self._name}: {path}: is not a regular file")
        return status.st_mtime_ns, status.st_size, status.st_ino


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    issued_at: int | None
    start_at: int
    end_at: int | None
    mg_per_kwh: int | None
    estimated: bool = False


class _Table:
    """The rows of one CSV."""

    def __init__(self, where: str, *, issued: bool, zone: str | None) -> None:
        self._where = where
        self._needed = ("issued", "start", "g_per_kwh") if issued else ("start", "g_per_kwh")
        self._zone = zone
        self._rows: list[_Row] = []

    def read(self, text: str) -> None:
        reader = csv.reader(io.StringIO(text, newline=""))
        try:
            columns = self._columns(next(reader, []))
            for cells in reader:
                if any(cells):
                    self._add(reader.line_num, cells, columns)
        except csv.Error as error:
            raise self._wrong(reader.line_num, str(error)) from None
        if not self._rows:
            wanted = f" for zone {self._zone}" if self._zone and "zone" in columns else ""
            raise ProviderMalformedError(f"{self._where}: there is no row{wanted}")

    def points(self) -> dict[int | None, tuple[Point, ...]]:
        """By issue (``None`` for actual values) the periods that have a value."""
        groups: dict[int | None, list[_Row]] = {}
        for row in self._rows:
            groups.setdefault(row.issued_at, []).append(row)
        starts = {at: sorted({row.start_at for row in rows}) for at, rows in groups.items()}
        step = usual_step(starts.values())
        made = {at: self._points(rows, starts[at], step) for at, rows in groups.items()}
        if missing := sum(row.mg_per_kwh is None for row in self._rows):
            _log.warning("%s: %d rows are empty or zero: taken as missing", self._where, missing)
        return made

    def _points(self, rows: list[_Row], starts: list[int], step: int | None) -> tuple[Point, ...]:
        points = {}
        for row in rows:
            end_at = row.end_at if row.end_at is not None else self._end(row, starts, step)
            if row.mg_per_kwh is not None:
                points[Point(row.start_at, end_at, row.mg_per_kwh, row.estimated)] = row.line
        try:
            return ordered(points)
        except ContradictionError as error:
            line = max(line for point, line in points.items() if point.start_at == error.at)
            raise self._wrong(line, "another row tells something else of that time") from None

    def _end(self, row: _Row, starts: list[int], step: int | None) -> int:
        if step is None:
            raise self._wrong(row.line, "how long is the period? add a column 'end'")
        following = bisect_left(starts, row.start_at + 1)
        end_at = row.start_at + step
        return min(end_at, starts[following]) if following < len(starts) else end_at

    def _columns(self, header: list[str]) -> dict[str, int]:
        names = [name.strip().lower() for name in header]
        for name in self._needed:
            if name not in names:
                needed = ",".join(self._needed)
                raise self._wrong(1, f"there is no column '{name}': the first line names {needed}")
        if len(set(names)) != len(names):
            raise self._wrong(1, "two columns have the same name")
        return {name: index for index, name in enumerate(names)}

    def _add(self, line: int, cells: list[str], columns: dict[str, int]) -> None:
        if len(cells) != len(columns):
            raise self._wrong(line, f"{len(cells)} cells where the first line has {len(columns)}")
        row = {name: cells[index] for name, index in columns.items()}
        if self._zone is not None and row.get("zone", self._zone).strip() != self._zone:
            return
        issued = row["issued"] if "issued" in self._needed else None
        end = row.get("end")
        try:
            parsed = _Row(
                line=line,
                issued_at=None if issued is None else parse_instant(issued),
                start_at=parse_instant(row["start"]),
                end_at=None if end is None else parse_instant(end),
                mg_per_kwh=mg_from_text(row["g_per_kwh"]),
                estimated=_flag(row.get("estimated", "")),
            )
        except ValueError as error:
            raise self._wrong(line, str(error)) from None
        if parsed.end_at is not None and parsed.end_at <= parsed.start_at:
            raise self._wrong(line, "the period ends before it starts")
        self._rows.append(parsed)

    def _wrong(self, line: int, what: str) -> ProviderMalformedError:
        return ProviderMalformedError(f"{self._where}, line {line}: {what}")


def _flag(text: str) -> bool:
    known = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True}
    word = text.strip().lower()
    if word not in known and word != "yes":
        raise ValueError(f"{text[:40]!a} is not true or false")
    return known.get(word, True)


def _text(path: Traversable) -> str:
    with path.open("rb") as file:
        raw = file.read()
    return (gzip.decompress(raw) if raw.startswith(_GZIP) else raw).decode("utf-8-sig")
