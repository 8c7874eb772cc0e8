"""The ``series`` table: what the numbers of one source mean."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.model.intensity import SeriesInfo

_INFO = tuple(SeriesInfo.__dataclass_fields__)
_MEANING = tuple(name for name in _INFO if name != "note")


class SeriesTable:
    """One row for each source, zone and meaning, and for each note that went with them."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def id_of(self, info: SeriesInfo) -> int:
        """The series' number; it gets one where it has none."""
        row = asdict(info) | {"static": int(info.static)}
        self._file.insert_new("series", [row])
        where = " AND ".join(f"{name} = :{name}" for name in _INFO)
        found = self._file.row(f"SELECT id FROM series WHERE {where}", **row)
        return int((found or {})["id"])

    def of_zone(self, zone: str) -> list[dict[str, Any]]:
        """Every series of a zone, in the order in which they were first told."""
        return self._file.rows("SELECT * FROM series WHERE zone = :zone ORDER BY id", zone=zone)

    def meaning(self, info: SeriesInfo) -> list[dict[str, Any]]:
        """The series of that source and meaning: that under its own note first, then the newest.

        A note changes where a site corrects the area that it asks for, perhaps back to an older
        one: what was told of another area counts only where this one told nothing.
        """
        row = asdict(info) | {"static": int(info.static)}
        where = " AND ".join(f"{name} = :{name}" for name in _MEANING)
        return self._file.rows(
            f"SELECT * FROM series WHERE {where} ORDER BY note = :note DESC, id DESC", **row
        )

    def reach(self, series_id: int, longest_s: int) -> None:
        """Remember the longest period that a series has: no query need look back further."""
        self._file.change(
            "UPDATE series SET longest_s = :longest_s WHERE id = :id AND longest_s < :longest_s",
            id=series_id,
            longest_s=longest_s,
        )


def info_of(row: dict[str, Any]) -> SeriesInfo:
    """What a row of the table says."""
    fields = {name: row[name] for name in _INFO}
    return SeriesInfo(**fields | {"static": bool(fields["static"])})
