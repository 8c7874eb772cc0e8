"""What shadow plans would have saved, for people and for programs."""

from __future__ import annotations

from carbonsched.reports.fields import Field, as_pipes, as_table
from carbonsched.reports.moments import stamp
from carbonsched.reports.shadow_documents import ShadowDocument, ShadowSums, ShadowUser
from carbonsched.reports.tables import Cell, Column, table
from carbonsched.reports.terminal import Screen, clean, cut, paragraph
from carbonsched.units import format_mass

LIMITS = (
    "As measured, moved to the planned start, and reckoned with the intensity that occurred there."
    " Room in those hours is what the planner knew of then: jobs that came later, partitions, nodes"
    " and memory are not in it, so on a full cluster some jobs would have started later still, and"
    " saved less or more. Delays are those of the plans, without queueing after them."
)
NONE_PLANNED = (
    "No job that ended then was planned in shadow mode. To begin, set planning.mode to shadow and"
    " start the daemon again."
)


def saved_mg(row: ShadowSums) -> int | None:
    """What would have been saved, of all that is reckoned."""
    return _less(row["mg"], row["would_mg"])


def _less(mg: int | None, would_mg: int | None) -> int | None:
    return None if mg is None or would_mg is None else mg - would_mg


def _percent(part_mg: int | None, whole_mg: int | None) -> float | None:
    return 100 * part_mg / whole_mg if part_mg is not None and whole_mg else None


def _shown_percent(part_mg: int | None, whole_mg: int | None) -> str:
    share = _percent(part_mg, whole_mg)
    return "-" if share is None else f"{share:.1f} %"


def _hours(seconds: int | None) -> str:
    return "-" if seconds is None else f"{seconds / 3600:.1f} h"


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 2)


FIELDS: tuple[Field[ShadowUser], ...] = (
    Field(name="User", title="User", raw_name="User", floor=4,
          shown=lambda row, _: row["user"], raw=lambda row, _: row["user"]),
    Field(name="Jobs", title="Jobs", raw_name="Jobs", right=True,
          shown=lambda row, _: str(row["jobs"]), raw=lambda row, _: row["jobs"]),
    Field(name="Later", title="Later", raw_name="Deferred", right=True,
          shown=lambda row, _: str(row["deferred_jobs"]), raw=lambda row, _: row["deferred_jobs"]),
    Field(name="Mean", title="Mean", raw_name="DelayMean_s", right=True,
          shown=lambda row, _: _hours(row["delay_mean_s"]), raw=lambda row, _: row["delay_mean_s"]),
    Field(name="P95", title="p95", raw_name="DelayP95_s", right=True,
          shown=lambda row, _: _hours(row["delay_p95_s"]), raw=lambda row, _: row["delay_p95_s"]),
    Field(name="Reckoned", title="Known", raw_name="Reckoned", right=True,
          shown=lambda row, _: str(row["reckoned_jobs"]), raw=lambda row, _: row["reckoned_jobs"]),
    Field(name="Emitted", title="Emitted", raw_name="Emitted_mg", right=True,
          shown=lambda row, _: format_mass(row["mg"]), raw=lambda row, _: row["mg"]),
    Field(name="Would", title="By plan", raw_name="Would_mg", right=True,
          shown=lambda row, _: format_mass(row["would_mg"]), raw=lambda row, _: row["would_mg"]),
    Field(name="Saved", title="Saved", raw_name="Saved_mg", right=True,
          shown=lambda row, _: format_mass(saved_mg(row)), raw=lambda row, _: saved_mg(row)),
    Field(name="Share", title="Share", raw_name="Saved_pct", right=True,
          shown=lambda row, _: _shown_percent(saved_mg(row), row["mg"]),
          raw=lambda row, _: _rounded(_percent(saved_mg(row), row["mg"]))),
)  # fmt: skip


def shadow_lines(document: ShadowDocument, screen: Screen) -> list[str]:
    """The report for a person."""
    names = ",".join(clean(name) for name in document["clusters"])
    head = f"{names}  {stamp(document['start_at'])} to {stamp(document['end_at'])}"
    lines = [screen.paint(cut(head, screen.width), "bold"), "", *_counts(document)]
    total = document["total"]
    if not total["jobs"]:
        return [*lines, "", *paragraph(NONE_PLANNED, screen.width)]
    lines += ["", *_masses(total, screen), ""]
    lines += as_table(FIELDS, document["users"], 0, screen, header=True)
    for reason in document["not_reckoned"]:
        words = f"{_jobs(reason['jobs'])} not reckoned ({reason['deferred_jobs']} of them later):"
        lines += ["", *paragraph(f"{words} {clean(reason['why'])}.", screen.width)]
    return [*lines, "", *paragraph(LIMITS, screen.width)]


def _jobs(number: int) -> str:
    return f"{number} job" + ("" if number == 1 else "s")


def _counts(document: ShadowDocument) -> list[str]:
    total = document["total"]
    lines = [
        f"Jobs that ended        {document['ended_jobs']}",
        f"  planned in shadow    {total['jobs']}",
    ]
    if total["deferred_jobs"]:
        lines.append(
            f"  would start later    {total['deferred_jobs']}, by {_hours(total['delay_mean_s'])}"
            f" on average, 95 % of them by at most {_hours(total['delay_p95_s'])}"
        )
    else:
        lines.append("  would start later    0")
    return lines


def _masses(total: ShadowSums, screen: Screen) -> list[str]:
    """Both ways' masses: of all that were planned, and of those that would have been deferred."""
    columns = [
        Column(title="Reckoned"), Column(title="Jobs", right=True),
        Column(title="Emitted", right=True), Column(title="By the plans", right=True),
        Column(title="Saved", right=True), Column(title="", right=True),
    ]  # fmt: skip
    sums = (
        ("planned in shadow", total["reckoned_jobs"], total["mg"], total["would_mg"]),
        ("would start later", total["deferred_reckoned_jobs"], total["deferred_mg"],
         total["deferred_would_mg"]),
    )  # fmt: skip
    rows = [
        [Cell(name), Cell(str(jobs)), Cell(format_mass(mg)), Cell(format_mass(would_mg)),
         Cell(format_mass(_less(mg, would_mg))), Cell(_shown_percent(_less(mg, would_mg), mg))]
        for name, jobs, mg, would_mg in sums
    ]  # fmt: skip
    return table(columns, rows, screen)


def shadow_pipes(document: ShadowDocument) -> list[str]:
    """For programs: a line for each figure, then, after an empty line, one for each user."""
    total = document["total"]
    figures = {
        "Ended": document["ended_jobs"], "Planned": total["jobs"],
        "Deferred": total["deferred_jobs"], "DelayMean_s": total["delay_mean_s"],
        "DelayP95_s": total["delay_p95_s"], "Reckoned": total["reckoned_jobs"],
        "Emitted_mg": total["mg"], "Would_mg": total["would_mg"], "Saved_mg": saved_mg(total),
        "DeferredReckoned": total["deferred_reckoned_jobs"],
        "DeferredEmitted_mg": total["deferred_mg"],
        "DeferredWould_mg": total["deferred_would_mg"],
    }  # fmt: skip
    lines = [f"{name}|{'' if value is None else value}" for name, value in figures.items()]
    return ["Figure|Value", *lines, "", *as_pipes(FIELDS, document["users"], 0, header=True)]
