"""The audit for people and for programs: what was metered, to whom it went, what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from carbonsched.reports.audit_documents import AuditJob, ClusterAudit
from carbonsched.reports.fields import Field, Raw, as_pipes
from carbonsched.reports.jobs import QUALITY_TINT
from carbonsched.reports.moments import span, stamp
from carbonsched.reports.tables import Cell, Column, table
from carbonsched.reports.terminal import Screen, clean, cut
from carbonsched.units import format_energy

_SHARES = (
    ("Jobs", "jobs_j"),
    ("Idle", "idle_j"),
    ("System", "system_j"),
    ("Unclaimed", "unclaimed_j"),
)
_LIST = (
    Column(title="JobID", floor=8),
    Column(title="User", floor=4),
    Column(title="Nodes", floor=4),
    Column(title="Quality"),
    Column(title="Energy J", right=True),
    Column(title="Why", floor=10),
)


def audit_lines(
    one: ClusterAudit, start_at: int, end_at: int, most: int, screen: Screen
) -> list[str]:
    """One cluster's audit, with at most ``most`` jobs listed."""
    head = f"{clean(one['cluster'])}  {stamp(start_at)} to {stamp(end_at)}"
    lines = [screen.paint(cut(head, screen.width), "bold"), "", *_balance(one, screen)]
    nodes = [cut(line, screen.width) for line in _nodes(one)]
    lines += ["", *nodes, "", *_qualities(one, screen), *_listed(one, most, screen)]
    lines += ["", *_checks(one, screen)]
    return lines


def _balance(one: ClusterAudit, screen: Screen) -> list[str]:
    measured_j = one["measured_j"]
    shares: dict[str, int] = {
        "jobs_j": one["jobs_j"], "idle_j": one["idle_j"], "system_j": one["system_j"],
        "unclaimed_j": one["unclaimed_j"],
    }  # fmt: skip
    rows = [[Cell("Measured"), Cell(str(measured_j)), Cell(format_energy(measured_j)), Cell("")]]
    rows += [
        [Cell(f"  {title}"), Cell(str(shares[name])), Cell(format_energy(shares[name])),
         Cell(_percent(shares[name], measured_j))]
        for title, name in _SHARES
    ]  # fmt: skip
    columns = [
        Column(title="Energy"),
        Column(title="J", right=True),
        Column(title="", right=True),
        Column(title="Share", right=True),
    ]
    lines = table(columns, rows, screen)
    if one["unclaimed_j"]:
        lines += [
            f"    {one['beyond_j']} J beyond Slurm's record of a job",
            f"    {one['unknown_j']} J of no job that was there by Slurm's record",
        ]
    return lines


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _nodes(one: ClusterAudit) -> list[str]:
    nodes = one["nodes"]
    covered_s = sum(node["covered_s"] for node in nodes)
    missing_s = sum(node["missing_s"] for node in nodes)
    gaps = sum(node["missing_s"] > 0 for node in nodes)
    lines = [
        f"Node time      {span(covered_s)} covered on {_count(len(nodes), 'node')},"
        f" {span(missing_s)} missing"
        + (f" between readings of {_count(gaps, 'node')}" if gaps else "")
    ]
    silent = [node["node"] for node in nodes if node["silent"]]
    if silent:
        lines.append(f"Silent         {_count(len(silent), 'node')}: {_named(silent)}")
    return lines


def _qualities(one: ClusterAudit, screen: Screen) -> list[str]:
    columns = [
        Column(title="Jobs"), Column(title="", right=True), Column(title="Energy J", right=True),
    ]  # fmt: skip
    rows = [
        [
            Cell(clean(row["quality"]), QUALITY_TINT.get(row["quality"], "")),
            Cell(str(row["jobs"])),
            Cell("-" if row["quality"] == "missing" else str(row["energy_j"])),
        ]
        for row in one["qualities"]
    ]
    return table(columns, rows, screen) if rows else ["No job ran."]


def _listed(one: ClusterAudit, most: int, screen: Screen) -> list[str]:
    shown = one["listed"][:most]
    if not shown:
        return []
    rows = [
        [
            Cell(clean(job["shown_id"])),
            Cell(clean(job["user"])),
            Cell(clean(_named(job["nodes"]))),
            Cell(clean(job["quality"]), QUALITY_TINT.get(job["quality"], "")),
            Cell("-" if job["energy_j"] is None else str(job["energy_j"])),
            Cell(clean(job["why"])),
        ]
        for job in shown
    ]
    lines = ["", *table(_LIST, rows, screen)]
    left = one["listed_count"] - len(shown)
    return [*lines, f"{left} more; -n shows them"] if left else lines


def _checks(one: ClusterAudit, screen: Screen) -> list[str]:
    lines = []
    slurm = one["slurm"]
    if slurm["ratio_median"] is not None:
        lines.append(
            f"Beside Slurm   {_count(slurm['jobs'], 'job')} alone on nodes: metered / Slurm's"
            f" {slurm['ratio_median']:.3f} (median)"
        )
    if slurm["implausible"]:
        lines.append(f"               {_count(slurm['implausible'], 'job')} with a figure of"
                     " Slurm's that cannot be")  # fmt: skip
    lines += [
        f"Job {clean(job['shown_id'])} is charged {job['charged_j']} J and metered"
        f" {job['metered_j']} J"
        for job in one["mischarged"]
    ]
    lines = [cut(line, screen.width) for line in lines]
    if one["uneven_segments"]:
        lines.append(f"{_count(one['uneven_segments'], 'segment')} not equal to the sum of parts")
    if one["adds_up"]:
        verdict = "It adds up: measured = jobs + idle + system + unclaimed, in whole joules"
        return [*lines, screen.paint(verdict, "green")]
    verdict = f"It does not add up: {one['difference_j']} J between measured and its parts"
    return [*lines, screen.paint(verdict, "red")]


def _count(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")


def _named(nodes: Sequence[str]) -> str:
    return ",".join(clean(node) for node in nodes[:4]) + (",..." if len(nodes) > 4 else "")


def _field(name: str, raw_name: str, of: Callable[[AuditJob], Raw]) -> Field[AuditJob]:
    return Field(
        name=name, title=name, raw_name=raw_name,
        shown=lambda job, _: str(of(job)), raw=lambda job, _: of(job),
    )  # fmt: skip


_JOB_FIELDS = (
    _field("JobID", "JobID", lambda job: job["shown_id"]),
    _field("User", "User", lambda job: job["user"]),
    _field("NodeList", "NodeList", lambda job: ",".join(job["nodes"])),
    _field("State", "State", lambda job: job["state"]),
    _field("Quality", "Quality", lambda job: job["quality"]),
    _field("Energy", "Energy_J", lambda job: job["energy_j"]),
    _field("Why", "Why", lambda job: job["why"]),
)


def audit_pipes(clusters: Sequence[ClusterAudit], most: int) -> list[str]:
    """For programs: a line for each sum, then, after an empty line, the listed jobs."""
    lines = ["Cluster|Figure|Value"]
    for one in clusters:
        name = clean(one["cluster"]).replace("|", "?")
        figures = {
            "Measured_J": one["measured_j"], "Jobs_J": one["jobs_j"], "Idle_J": one["idle_j"],
            "System_J": one["system_j"], "Unclaimed_J": one["unclaimed_j"],
            "Covered_s": sum(node["covered_s"] for node in one["nodes"]),
            "Missing_s": sum(node["missing_s"] for node in one["nodes"]),
            **{f"Jobs_{row['quality']}": row["jobs"] for row in one["qualities"]},
            "AddsUp": int(one["adds_up"]),
        }  # fmt: skip
        lines += [f"{name}|{figure}|{value}" for figure, value in figures.items()]
    jobs = [job for one in clusters for job in one["listed"][:most]]
    return [*lines, "", *as_pipes(_JOB_FIELDS, jobs, 0, header=True)]
