"""The arithmetic of a statement: sums over its lines, all in whole joules and milligrams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from carbonsched.intensity.resolve import Resolved
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.energy import Domain, Quality
from carbonsched.model.quota import Period
from carbonsched.units import apportion

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


def month_row(line: StatementLine, when: Period) -> Row:
    """A job's row with the part of its figures that this month was charged.

    Parts of the node and uncertainty follow the energy. Embodied carbon follows the time that the
    job ran in the month, in such a way that its months add up to the whole.
    """
    row = line.row
    if row["energy_j"] is None:
        return row
    return row | {
        "mg": line.mg,
        "energy_j": line.energy_j,
        "domains": _divided(line.energy_j, row["domains"]),
        "uncertainty_j": _in_proportion(row["uncertainty_j"], line.energy_j, row["energy_j"]),
        "embodied_mg": _in_month(row, when),
    }


def _divided(energy_j: int, domains: dict[str, int]) -> dict[str, int]:
    return apportion(energy_j, domains) if any(domains.values()) else {}


def _in_proportion(whole: int | None, part_j: int, whole_j: int) -> int | None:
    if whole is None or whole_j <= 0:
        return whole
    return max(0, round(whole * part_j / whole_j))


def _in_month(row: Row, when: Period) -> int | None:
    """The embodied carbon of the time that a job ran in the month."""
    whole_mg, started_at, length_s = row["embodied_mg"], row["started_at"], row["elapsed_s"]
    if whole_mg is None or started_at is None:
        return None
    if length_s <= 0:
        return int(whole_mg) if when.start_at <= started_at < when.end_at else 0

    def until(at: int) -> int:
        passed_s = min(max(at - started_at, 0), length_s)
        return int(whole_mg * passed_s // length_s)

    return until(when.end_at) - until(when.start_at)


def totals(lines: list[StatementLine], rows: list[Row]) -> Row:
    """The statement's sums; ``rows`` are the lines' own by :func:`month_row`.

    ``embodied_mg`` is in no other sum. ``modelled_j`` is the energy of jobs of which a part was
    modelled. Their uncertainties are added up plainly: a model that is wrong is wrong for all.
    """
    saved = [line.row["saved_mg"] for line in lines if line.row["saved_mg"] is not None]
    embodied = [row["embodied_mg"] for row in rows if row["embodied_mg"] is not None]
    return {
        "jobs": len(lines),
        "energy_j": sum(line.energy_j for line in lines),
        "mg": sum(line.mg for line in lines),
        "provisional_mg": sum(line.mg for line in lines if line.row["provisional"]),
        "saved_mg": sum(saved) if saved else None,
        "embodied_mg": sum(embodied) if embodied else None,
        "embodied_jobs": len(embodied),
        "modelled_j": sum(row["energy_j"] for row in rows if _modelled(row)),
        "uncertainty_j": sum(row["uncertainty_j"] for row in rows if _modelled(row)),
        "deferred_jobs": sum(line.row["deferred_s"] > 0 for line in lines),
        "cpu_s": sum(line.row["elapsed_s"] * line.row["cpus"] for line in lines),
        "elapsed_s": sum(line.row["elapsed_s"] for line in lines),
    }


def _modelled(row: Row) -> bool:
    return row["energy_j"] is not None and bool(row["uncertainty_j"])


def domains(rows: list[Row]) -> Row:
    """Energy by part of the node, as far as agents tell: together perhaps less than the total."""
    told = {one for row in rows for one in row["domains"]}
    return {
        one.value: sum(row["domains"].get(one, 0) for row in rows) for one in Domain if one in told
    }


def pue(lines: list[StatementLine]) -> Row | None:
    """The lowest and highest PUE that a job's energy was multiplied by, and whose word they are."""
    known = [line.row["pue"] for line in lines if line.row["pue"] is not None]
    if not known:
        return None
    told = {one for line in lines for one in line.row["pue_source"].split("; ") if one}
    return {"low": min(known), "high": max(known), "sources": sorted(told)}


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
