"""Facilities' PUE over time as it was told, with every revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.model.pue import PuePoint, latest_told

_POINT = ", ".join(PuePoint.__dataclass_fields__)


class PueTable:
    """The ``pues`` table."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def add(self, cluster: str, points: Sequence[PuePoint], now: int) -> int:
        """Keep points that are new or differ from what was last told of the same period.

        Returns how many were.
        """
        if not points:
            return 0
        first, last = min(one.start_at for one in points), max(one.end_at for one in points)
        with self._file.transaction():
            known = {
                (row["start_at"], row["end_at"]): _point(row)
                for row in self._told(cluster, first, last)
            }
            fresh = [one for one in points if known.get((one.start_at, one.end_at)) != one]
            identity = {"cluster": cluster, "fetched_at": now}
            self._file.replace("pues", [asdict(one) | identity for one in fresh])
        return len(fresh)

    def between(self, cluster: str, start_at: int, end_at: int) -> tuple[PuePoint, ...]:
        """What counts of ``[start_at, end_at)``, in time order and without overlap.

        Periods that reach beyond the interval are told whole. Where several tell of the same time,
        the one fetched last counts.
        """
        rows = self._told(cluster, start_at, end_at)
        return latest_told((row["fetched_at"], _point(row)) for row in rows)

    def latest(self, cluster: str, before_at: int) -> PuePoint | None:
        """Of the periods that began before an instant the one that ends last."""
        # By their end: most questions are of late, and the table has years.
        row = self._file.row(
            f"SELECT {_POINT} FROM pues INDEXED BY pues_by_end"
            " WHERE cluster = :cluster AND start_at < :before_at"
            " ORDER BY end_at DESC, fetched_at DESC LIMIT 1",
            cluster=cluster, before_at=before_at,
        )  # fmt: skip
        return _point(row) if row else None

    def _told(self, cluster: str, start_at: int, end_at: int) -> list[dict[str, Any]]:
        return self._file.rows(
            f"SELECT {_POINT}, fetched_at FROM pues INDEXED BY pues_by_end WHERE cluster = :cluster"
            " AND start_at < :end_at AND end_at > :start_at ORDER BY fetched_at, start_at, end_at",
            cluster=cluster, start_at=start_at, end_at=end_at,
        )  # fmt: skip


def _point(row: dict[str, Any]) -> PuePoint:
    return PuePoint(**{name: row[name] for name in PuePoint.__dataclass_fields__})
