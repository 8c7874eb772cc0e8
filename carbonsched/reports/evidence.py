"""The chain of evidence of one job: from each reading to the charge."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from carbonsched.errors import DaemonError
from carbonsched.reports.documents import DomainsDocument, EvidenceRow, JobRow
from carbonsched.reports.jobs import PROVISIONAL_NOTE
from carbonsched.reports.moments import local
from carbonsched.reports.tables import Cell, Column, table
from carbonsched.reports.terminal import Screen, clean, cut, paragraph
from carbonsched.units import format_energy, format_mass

_COLUMNS = (
    Column(title="Node", floor=4),
    Column(title="From", floor=None),
    Column(title="To"),
    Column(title="Energy J", right=True),
    Column(title="Quality"),
    Column(title="Meter", floor=5),
    Column(title="PUE", right=True),
    Column(title="g/kWh", right=True),
    Column(title="mg", right=True),
)
_DOMAINS: tuple[tuple[str, Callable[[DomainsDocument], int | None]], ...] = (
    ("CPU J", lambda one: one.get("cpu")),
    ("Memory J", lambda one: one.get("memory")),
    ("GPU J", lambda one: one.get("gpu")),
    ("Node J", lambda one: one.get("node")),
    ("Rest J", lambda one: one.get("rest")),
)


def chain(job: JobRow, screen: Screen) -> list[str]:
    """Every segment, their sums, PUE, and the charge, so that a person can reckon it again."""
    rows = job.get("evidence", [])
    head = f"Job {job['shown_id']} {job['name']} of {job['user']} on {job['cluster']}"
    lines = [screen.paint(cut(clean(head), screen.width), "bold"), ""]
    if not rows:
        return [*lines, "No reading of this job has arrived.", *_charge(job, [], screen)]
    lines += table(_COLUMNS, [_row(row, _form(rows)) for row in rows], screen)
    lines += [*_parts(rows, screen), "", *_charge(job, rows, screen), "", *_sources(rows, screen)]
    return lines


def _parts(rows: list[EvidenceRow], screen: Screen) -> list[str]:
    """Each reading's energy by part of the node; nothing where no agent told it."""
    shown = [(title, of) for title, of in _DOMAINS if any(of(row["domains"]) for row in rows)]
    if not shown:
        return []
    titles = [title for title, _ in shown]
    columns = [
        Column(title="From"),
        Column(title="Node", floor=4),
        *(Column(title=title, right=True) for title in [*titles, "± J"]),
    ]
    cells = [
        [
            Cell(local(row["start_at"]).strftime(_form(rows))),
            Cell(clean(row["node"])),
            *(Cell(_told(of(row["domains"]))) for _, of in shown),
            Cell(str(row["uncertainty_j"]) if row["domains"] or row["uncertainty_j"] else "-"),
        ]
        for row in rows
    ]
    return ["", *table(columns, cells, screen)]


def _told(joules: int | None) -> str:
    return "-" if joules is None else str(joules)


def _form(rows: list[EvidenceRow]) -> str:
    return "%m-%d %H:%M:%S" if _days(rows) > 1 else "%H:%M:%S"


def _days(rows: list[EvidenceRow]) -> int:
    return len({local(row["start_at"]).date() for row in rows})


def _row(row: EvidenceRow, form: str) -> list[Cell]:
    intensity = row["g_per_kwh"]
    return [
        Cell(clean(row["node"])),
        Cell(local(row["start_at"]).strftime(form)),
        Cell(local(row["end_at"]).strftime("%H:%M:%S")),
        Cell(str(row["energy_j"])),
        Cell(clean(row["quality"])),
        Cell(clean(row["meter"])),
        Cell("-" if row["pue"] is None else f"{row['pue']:.6g}"),
        Cell("-" if intensity is None else f"{intensity:.1f}"),
        Cell("-" if row["mg"] is None else f"{exact(row['mg']):.3f}"),
    ]


def exact(text: str) -> Decimal:
    """A decimal string of the daemon as a number."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise DaemonError(f"the daemon's answer is not as expected: {text!r} is not a mass")
    return number


def _charge(job: JobRow, rows: list[EvidenceRow], screen: Screen) -> list[str]:
    energy_j = sum(row["energy_j"] for row in rows)
    known = [exact(row["mg"]) for row in rows if row["mg"] is not None]
    unpriced = len(rows) - len(known)
    span = f"{rows[0]['start_at']}" if rows else ""
    pue = "not known" if job["pue"] is None else f"{job['pue']:.6g}"
    source = f" ({clean(job['pue_source'])})" if job["pue_source"] else ""
    lines = [
        f"{'Readings':<18} {len(rows)}" + (f", the first from epoch second {span}" if span else ""),
        f"{'Energy, summed':<18} {energy_j} J ({format_energy(energy_j)})",
        *_uncertainty(job),
        cut(f"{'PUE':<18} {pue}{source}", screen.width),
        f"{'Each row':<18} mg = J / 3 600 000 x PUE x g/kWh x 1000",
        f"{'Mass, summed':<18} {sum(known, Decimal(0)):.6f} mg",
    ]
    if unpriced:
        lines.append(f"{'Not priced yet':<18} {unpriced} of {len(rows)} rows")
    charged = "nothing yet" if job["mg"] is None else f"{job['mg']} mg ({format_mass(job['mg'])})"
    label = "So far" if job["provisional"] else "Charged"
    lines.append(screen.paint(f"{label:<18} {charged}", "bold"))
    if job["embodied_mg"] is not None:
        embodied = f"{job['embodied_mg']} mg ({format_mass(job['embodied_mg'])}), not in the charge"
        lines.append(f"{'Embodied':<18} {embodied}")
    lines += _findings(job, energy_j, sum(known, Decimal(0)), unpriced)
    cut_j = sum(row["unclaimed_j"] for row in rows)
    if cut_j:
        lines.append(f"{cut_j} J beyond Slurm's record of the job are cut from these rows.")
    if job["why"]:
        lines += paragraph(f"{job['quality'].capitalize()}: {job['why']}.", screen.width)
    return lines


def _uncertainty(job: JobRow) -> list[str]:
    joules = job["uncertainty_j"]
    if not joules:
        return []
    return [f"{'Uncertainty':<18} ± {joules} J (one standard deviation of what is modelled)"]


def _findings(job: JobRow, energy_j: int, mass: Decimal, unpriced: int) -> list[str]:
    """Where sums and charge differ, in words: an auditor must not have to look for it."""
    lines = []
    if job["energy_j"] is not None and job["energy_j"] != energy_j:
        lines.append(f"The rows' energy differs from the job's {job['energy_j']} J.")
    if job["mg"] is not None and not unpriced:
        if abs(mass - job["mg"]) <= Decimal("0.5"):
            lines.append("The charge is the sum, rounded once to whole milligrams.")
        else:
            lines.append(f"The charge differs from the sum by {job['mg'] - mass:.6f} mg.")
    if job["provisional"]:
        lines.append(PROVISIONAL_NOTE.removeprefix("~ ").capitalize() + ".")
    return lines


def _sources(rows: list[EvidenceRow], screen: Screen) -> list[str]:
    names = dict.fromkeys(row["provider"] for row in rows if row["provider"] is not None)
    lines = ["Intensity from"] if names else ["No intensity for this job yet."]
    for name in names:
        lines += paragraph(name, screen.width, "  ")
    return lines
