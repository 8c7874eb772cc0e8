"""The arithmetic of a statement: sums over its lines, all in whole joules and milligrams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from carbonsched.intensity.resolve import Resolved
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.energy import Quality
from carbonsched.model.quota import Period

MAX_POINTS = 1500
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One job with what it was charged in the month; its row says what it is as a whole."""

    known: KnownJob
    row: Row
    mg: int
    energy_j: int


def ran(known: KnownJob, when: Period) -> bool:
    """Whether a job ended in the month after it had run."""
    ended_at = known.job.ended_at
    return (
        known.job.started_at is not None
        and ended_at is not None
        and when.start_at <= ended_at < when.end_at
        and ended_at > known.job.started_at
    )


def in_campaign(known: KnownJob, campaign: str | None) -> bool:
    """Whether a job is of the campaign; every job is where none is asked for."""
    if campaign is None:
        return True
    return known.directives is not None and known.directives.campaign == campaign


def month_row(line: StatementLine) -> Row:
    """A job's row with the part of its figures that this month was charged."""
    if line.row["energy_j"] is None:
        return line.row
    return line.row | {"mg": line.mg, "energy_j": line.energy_j}


def totals(lines: list[StatementLine]) -> Row:
    """The statement's sums."""
    saved = [line.row["saved_mg"] for line in lines if line.row["saved_mg"] is not None]
    return {
        "jobs": len(lines),
        "energy_j": sum(line.energy_j for line in lines),
        "mg": sum(line.mg for line in lines),
        "provisional_mg": sum(line.mg for line in lines if line.row["provisional"]),
        "saved_mg": sum(saved) if saved else None,
        "deferred_jobs": sum(line.row["deferred_s"] > 0 for line in lines),
        "cpu_s": sum(line.row["elapsed_s"] * line.row["cpus"] for line in lines),
        "elapsed_s": sum(line.row["elapsed_s"] for line in lines),
    }


def quality(lines: list[StatementLine]) -> list[Row]:
    """Each quality's jobs, energy, and share of the jobs' node-time."""
    whole = sum(_node_s(line) for line in lines)
    rows = []
    for quality in Quality:
        mine = [line for line in lines if line.row["quality"] == quality]
        missing = quality is Quality.MISSING
        share = 100 * sum(_node_s(line) for line in mine) / whole if whole else 0.0
        rows.append(
            {
                "quality": quality,
                "jobs": len(mine),
                "energy_j": None if missing else sum(line.energy_j for line in mine),
                "share_pct": share,
            }
        )
    return rows


def _node_s(line: StatementLine) -> int:
    return int(line.row["elapsed_s"] * line.row["node_count"])


def grouped(
    lines: list[StatementLine], name_of: Callable[[StatementLine], str | None]
) -> list[Row]:
    """Sums by a name of each line, largest mass first; lines without a name are left out."""
    groups: dict[str, Row] = {}
    for line in lines:
        name = name_of(line)
        if name is None:
            continue
        group = groups.setdefault(name, {"name": name, "jobs": 0, "energy_j": 0, "mg": 0})
        group["jobs"] += 1
        group["energy_j"] += line.energy_j
        group["mg"] += line.mg
    return sorted(groups.values(), key=lambda group: (-group["mg"], group["name"]))


def thinned(pieces: tuple[Resolved, ...]) -> list[Row]:
    """At most some 1,500 periods: neighbours are merged to their time-weighted mean."""
    width = -(-len(pieces) // MAX_POINTS) or 1
    rows = []
    for first in range(0, len(pieces), width):
        group = pieces[first : first + width]
        length_s = sum(piece.end_at - piece.start_at for piece in group)
        weighted = sum(piece.mg_per_kwh * (piece.end_at - piece.start_at) for piece in group)
        rows.append(
            {
                "start_at": group[0].start_at,
                "end_at": group[-1].end_at,
                "g_per_kwh": weighted / length_s / 1000,
            }
        )
    return rows
