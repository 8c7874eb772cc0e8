"""The monthly statement for a terminal, a mail or a printer: 80 columns of plain characters."""

from __future__ import annotations

from carbonsched.reports.documents import GroupSum, JobRow, QuotaStanding, ReportDocument
from carbonsched.reports.jobs import PROVISIONAL_NOTE, shown_mass
from carbonsched.reports.moments import local, zone_named
from carbonsched.reports.monthly import (
    QUALITY_WORDS,
    budget,
    cpu_time,
    decimals,
    disagreements,
    distance,
    embodied_words,
    empty_words,
    grouped,
    is_empty,
    met_words,
    month_words,
    node_parts,
    per_hundred,
    pue_words,
    range_words,
    saved_unknown_words,
    share,
    subject_words,
)
from carbonsched.reports.tables import Cell, Column, table
from carbonsched.reports.terminal import Screen, bar, clean, cut, paragraph
from carbonsched.units import J_PER_KWH, MG_PER_G, format_duration, format_energy, format_mass

WIDTH = 80
_LARGEST = 10
_BAR = 44
_QUALITY_TINT = {"missing": "red", "partial": "yellow", "modelled": "yellow"}


def statement_text(document: ReportDocument, screen: Screen) -> list[str]:
    """The whole statement as lines."""
    page = Screen(width=WIDTH, colour=screen.colour)
    lines = _head(document, page)
    if is_empty(document):
        lines += ["", *paragraph(empty_words(document), WIDTH)]
        return lines + _quota(document["quota"], document, page) + _foot(document)
    lines += _totals(document)
    lines += _quota(document["quota"], document, page)
    lines += _quality(document, page)
    lines += _node_parts(document, page)
    lines += _groups("Account", document["accounts"], document["totals"]["mg"], page)
    lines += _groups("Campaign", document["campaigns"], document["totals"]["mg"], page)
    lines += _largest(document, page)
    return lines + _foot(document)


def _head(document: ReportDocument, page: Screen) -> list[str]:
    who, site = clean(subject_words(document)), clean(document["site"])
    title = f"Carbon statement of {cut(who, 40)}, {month_words(document['period'])}"
    return [
        page.paint(title, "bold"),
        cut(f"{site}; {range_words(document['period'])}", WIDTH),
        "=" * WIDTH,
    ]


def _line(label: str, shown: str, exact: str = "") -> str:
    return f"{label:<22}{shown:>12}{exact:>26}".rstrip()


def _totals(document: ReportDocument) -> list[str]:
    totals = document["totals"]
    mg = totals["mg"]
    lines = [
        _line("Energy", format_energy(totals["energy_j"]), f"{grouped(totals['energy_j'])} J"),
    ]
    if totals["modelled_j"]:
        deviation = f"+/- {format_energy(totals['uncertainty_j'])} (1 sd)"
        lines.append(_line("  of it modelled", format_energy(totals["modelled_j"]), deviation))
    if pue := pue_words(document):
        lines.append(_line("PUE", pue))
    lines.append(_line("CO2", format_mass(mg), f"{grouped(mg)} mg"))
    if totals["provisional_mg"]:
        provisional = totals["provisional_mg"]
        exact = f"{grouped(provisional)} mg"
        lines.append(_line("  of it provisional", format_mass(provisional), exact))
    if totals["saved_mg"] is None:
        lines.append(f"Saved by waiting       {saved_unknown_words(document)}")
    else:
        saved = totals["saved_mg"]
        lines.append(_line("Saved by waiting", format_mass(saved), f"{grouped(saved)} mg"))
    if (embodied := totals["embodied_mg"]) is not None:
        lines.append(_line("Embodied CO2", format_mass(embodied), f"{grouped(embodied)} mg"))
        lines.append(f"{'':<22}{embodied_words(document)}")
    lines.append(_line("Jobs", grouped(totals["jobs"]), f"{totals['deferred_jobs']} deferred"))
    run = format_duration(totals["elapsed_s"])
    lines.append(_line("Time run", run, cpu_time(totals["cpu_s"])))
    car = document["car"]
    lines.append(_line("Same as by car", distance(car["km"])))
    source = f"{car['g_per_km']:g} g/km: {car['source']}, {car['year']}"
    return lines + [f"{'':<22}{line}" for line in paragraph(source, WIDTH - 22)]


def _section(title: str, page: Screen) -> list[str]:
    return ["", page.paint(title, "bold")]


def _quota(quota: QuotaStanding | None, document: ReportDocument, page: Screen) -> list[str]:
    if quota is None:
        return []
    use = budget(quota)
    drawn = bar([(use.charged, "#"), (use.reserved, "=")], _BAR)
    tint = "red" if use.used >= 1 else "yellow" if use.used >= 0.8 else "green"
    holder = cut(clean(quota["subject"]).replace(":", " ", 1), 40)
    title = f"Budget of {holder} in {month_words(document['period'])}"
    lines = _section(title, page)
    lines.append(f"[{page.paint(drawn, tint)}] {per_hundred(use.used)} used or reserved")
    for label, key in (
        ("  budget", "budget_mg"), ("+ granted", "granted_mg"), ("- charged  #", "charged_mg"),
        ("- reserved =", "reserved_mg"), ("= remaining", "remaining_mg"),
    ):  # fmt: skip
        mg: int = quota[key]  # type: ignore[literal-required]  # one of the names above
        lines.append(_line(label, format_mass(mg), f"{grouped(mg)} mg"))
    if use.overdrawn:
        lines.append("Overdrawn: further jobs wait for the next month or a grant.")
    return lines


def _quality(document: ReportDocument, page: Screen) -> list[str]:
    columns = (
        Column(title="Quality"), Column(title="of node time", width=16),
        Column(title="share", right=True), Column(title="jobs", right=True),
        Column(title="energy", right=True), Column(title="meaning", floor=10),
    )  # fmt: skip
    rows = []
    for one in document["quality"]:
        fraction = one["share_pct"] / 100
        rows.append([
            Cell(clean(one["quality"]), _QUALITY_TINT.get(one["quality"], "")),
            Cell(bar([(fraction, "#")], 16)),
            Cell(per_hundred(fraction)),
            Cell(grouped(one["jobs"])),
            Cell(format_energy(one["energy_j"])),
            Cell(QUALITY_WORDS.get(one["quality"], "")),
        ])  # fmt: skip
    return _section("How the energy was obtained", page) + table(columns, rows, page)


def _node_parts(document: ReportDocument, page: Screen) -> list[str]:
    parts = node_parts(document)
    if not parts:
        return []
    columns = (
        Column(title="Part of the node", floor=10), Column(title="of the energy", width=16),
        Column(title="share", right=True), Column(title="kWh", right=True),
    )  # fmt: skip
    whole = document["totals"]["energy_j"]
    rows = [
        [
            Cell(part.words),
            Cell(bar([(share(part.energy_j, whole), "#")], 16)),
            Cell(per_hundred(share(part.energy_j, whole))),
            Cell(decimals(part.energy_j, J_PER_KWH, 3)),
        ]
        for part in parts
    ]
    return _section("Where in the nodes it was used", page) + table(columns, rows, page)


def _groups(title: str, groups: list[GroupSum], total_mg: int, page: Screen) -> list[str]:
    if not groups:
        return []
    columns = (
        Column(title=title, floor=10), Column(title="jobs", right=True),
        Column(title="kWh", right=True), Column(title="CO2 g", right=True),
        Column(title="share", right=True),
    )  # fmt: skip
    rows = [
        [
            Cell(clean(one["name"])),
            Cell(grouped(one["jobs"])),
            Cell(decimals(one["energy_j"], J_PER_KWH, 3)),
            Cell(decimals(one["mg"], MG_PER_G, 3)),
            Cell(per_hundred(share(one["mg"], total_mg))),
        ]
        for one in groups
    ]
    return _section(f"By {title.lower()}", page) + table(columns, rows, page)


def _largest(document: ReportDocument, page: Screen) -> list[str]:
    columns = (
        Column(title="Job", floor=8), Column(title="name", floor=6), Column(title="ended", floor=5),
        Column(title="elapsed", right=True), Column(title="energy", right=True),
        Column(title="CO2", right=True), Column(title="g/kWh", right=True),
        Column(title="saved", right=True), Column(title="quality"),
    )  # fmt: skip
    zone = document["period"]["time_zone"]
    jobs = document["jobs"][:_LARGEST]
    rows = [_job(job, zone) for job in jobs]
    count = f"the {len(jobs)} largest of {document['totals']['jobs']}"
    title = "Jobs" if len(jobs) >= document["totals"]["jobs"] else f"Jobs: {count}"
    lines = _section(title, page) + table(columns, rows, page)
    if any(job["provisional"] and job["mg"] is not None for job in jobs):
        lines.append(PROVISIONAL_NOTE)
    met = met_words(document)
    return lines + (paragraph(met, WIDTH) if met else [])


def _job(job: JobRow, zone: str) -> list[Cell]:
    ended = job["ended_at"]
    intensity = job["g_per_kwh"]
    return [
        Cell(clean(job["shown_id"])),
        Cell(clean(job["name"])),
        Cell("-" if ended is None else local(ended, zone_named(zone)).strftime("%m-%d %H:%M")),
        Cell(format_duration(job["elapsed_s"])),
        Cell(format_energy(job["energy_j"])),
        Cell(shown_mass(job)),
        Cell("-" if intensity is None else f"{intensity:.0f}"),
        Cell(format_mass(job["saved_mg"]), "green" if (job["saved_mg"] or 0) > 0 else ""),
        Cell(clean(job["quality"]), _QUALITY_TINT.get(job["quality"], "")),
    ]


def _foot(document: ReportDocument) -> list[str]:
    lines = []
    pues = [f"PUE: {one}" for one in (document["pue"] or {"sources": []})["sources"]]
    if found := [*document["sources"], *pues]:
        lines += ["", "Sources"]
        for source in found:
            lines += _item(source)
    if document["statement"] and not is_empty(document):
        lines += ["", "For a paper", *paragraph(document["statement"], WIDTH, "  ")]
    if wrong := disagreements(document):
        lines += ["", "Does not add up; tell the administrator"]
        for one in wrong:
            lines += _item(one)
    zone = zone_named(document["period"]["time_zone"])
    made = local(document["generated_at"], zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    ending = f"Made {made}. Masses include the cooling and losses of the site (PUE)."
    return [*lines, "", *paragraph(ending, WIDTH)]


def _item(text: str) -> list[str]:
    first, *rest = paragraph(text, WIDTH - 2) or [""]
    return [f"- {first}", *(f"  {line}" for line in rest)]
