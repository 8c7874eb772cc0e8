"""PUE from a CSV file that the building's own system writes.

Columns, in any order: ``start``, ``end`` and ``pue``; others are ignored. Times are ISO with an
offset (UTC: a final Z) or epoch seconds. A period may lie ahead: a month's may be written on its
first day and corrected on its last. An empty ``pue`` is missing.
"""

from __future__ import annotations

import csv
import io
import stat
from itertools import pairwise
from pathlib import Path

from carbonsched.errors import ProviderMalformedError, ProviderUnavailableError
from carbonsched.facility.values import pue_ppm
from carbonsched.intensity.values import parse_instant
from carbonsched.model.pue import PuePoint
from carbonsched.ports import PueTold

MAX_BYTES = 64 * 1024 * 1024
_NEEDED = ("start", "end", "pue")
_MONTH_S = 31 * 86_400


class PueFile:
    """The file, parsed anew whenever it is another than before."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path
        self._held: tuple[object, PueTold] | None = None

    @property
    def source(self) -> str:
        """The file's path."""
        return f"file {self._path}"

    @property
    def asks_again_s(self) -> int:
        """The site may correct what it wrote."""
        return _MONTH_S

    @property
    def most_s(self) -> int:
        """All at once."""
        return _MONTH_S

    def read(self, start_at: int, end_at: int) -> PueTold:
        """The file's periods that touch the interval, whole; rows out of bounds are kept out.

        Raises:
            ProviderError: unreadable, or not such a file.
        """
        told = self._read()
        touching = [one for one in told.points if one.end_at > start_at and one.start_at < end_at]
        return PueTold(tuple(touching), told.fault)

    def _read(self) -> PueTold:
        try:
            status = self._path.stat()
            if not stat.S_ISREG(status.st_mode):  # a pipe would block, a device never end
                raise ProviderUnavailableError(f"{self.source}: is not a regular file")
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._held is None or self._held[0] != stamp:
                if status.st_size > MAX_BYTES:
                    raise ProviderMalformedError(f"{self.source}: is larger than 64 MiB")
                self._held = (stamp, self._parsed(self._path.read_text(encoding="utf-8-sig")))
        except OSError as error:
            raise ProviderUnavailableError(f"{self.source}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise ProviderMalformedError(f"{self.source}: is not UTF-8 text") from None
        return self._held[1]

    def _parsed(self, text: str) -> PueTold:
        reader = csv.reader(io.StringIO(text, newline=""))
        points: dict[PuePoint, int] = {}
        faults: list[str] = []
        try:
            columns = self._columns(next(reader, []))
            for cells in reader:
                if not any(cells):
                    continue
                try:
                    point = self._point(cells, columns)
                except ValueError as error:
                    faults.append(f"line {reader.line_num}: {error}")
                    continue
                if point is not None:
                    points.setdefault(point, reader.line_num)
        except csv.Error as error:
            raise ProviderMalformedError(
                f"{self.source}, line {reader.line_num}: {error}"
            ) from None
        ordered = sorted(points, key=lambda one: (one.start_at, one.end_at))
        for before, after in pairwise(ordered):
            if after.start_at < before.end_at:
                line = max(points[before], points[after])
                raise ProviderMalformedError(
                    f"{self.source}, line {line}: another row tells something else of that time"
                )
        return PueTold(tuple(ordered), self._fault(faults))

    def _fault(self, faults: list[str]) -> str | None:
        if not faults:
            return None
        more = f", and {len(faults) - 1} more rows" if len(faults) > 1 else ""
        return f"{self.source}, {faults[0]}{more}: left out"

    def _columns(self, header: list[str]) -> dict[str, int]:
        names = [name.strip().lower() for name in header]
        for name in _NEEDED:
            if names.count(name) != 1:
                raise ProviderMalformedError(
                    f"{self.source}, line 1: names not one column {name!r}: write start,end,pue"
                )
        return {name: names.index(name) for name in _NEEDED}

    def _point(self, cells: list[str], columns: dict[str, int]) -> PuePoint | None:
        if len(cells) <= max(columns.values()):
            raise ValueError("has fewer cells than the first line")
        start_at, end_at = (parse_instant(cells[columns[name]]) for name in ("start", "end"))
        if end_at <= start_at:
            raise ValueError("the period ends before it starts")
        value = pue_ppm(cells[columns["pue"]])
        return None if value is None else PuePoint(start_at, end_at, value, self.source)
