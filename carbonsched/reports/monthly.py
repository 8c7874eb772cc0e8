"""What the forms of a monthly statement share: words, shares, and whether its parts add up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from carbonsched.reports.documents import (
    IntensityStep,
    JobRow,
    PeriodDocument,
    QuotaStanding,
    ReportDocument,
)
from carbonsched.reports.moments import local, zone_named
from carbonsched.units import format_energy

QUALITY_WORDS = {
    "measured": "energy counters of the nodes",
    "sampled": "power readings, added up",
    "partial": "metered, but not all of it",
    "modelled": "from a model of power",
    "missing": "not metered: in no sum",
}
DOMAIN_WORDS = {
    "cpu": "processors",
    "memory": "memory",
    "gpu": "GPUs",
    "node": "nodes as a whole",
    "rest": "rest of the nodes: supplies, fans, network",
}
UNTOLD = "not told by part"
EMPTY = "No jobs of {who} ran in {month}, so there is nothing to report."


def is_empty(document: ReportDocument) -> bool:
    """Whether the month holds no job at all."""
    return document["totals"]["jobs"] == 0 and not document["jobs"]


def empty_words(document: ReportDocument) -> str:
    """What an empty month says."""
    return EMPTY.format(who=subject_words(document), month=month_words(document["period"]))


def subject_words(document: ReportDocument) -> str:
    """``user alice``."""
    return f"{document['subject']['kind']} {document['subject']['name']}"


def month_words(period: PeriodDocument) -> str:
    """``November 2026``, in the site's zone."""
    return local(period["start_at"], zone_named(period["time_zone"])).strftime("%B %Y")


def range_words(period: PeriodDocument) -> str:
    """``1 to 30 November 2026, Europe/Berlin``."""
    zone = zone_named(period["time_zone"])
    first, last = local(period["start_at"], zone), local(period["end_at"] - 1, zone)
    return f"{first.day} to {last.day} {last.strftime('%B %Y')}, {period['time_zone']}"


def month_before(name: str) -> str:
    """``2026-10`` for ``2026-11``."""
    year, month = (int(part) for part in name.split("-"))
    return (date(year, month, 1) - timedelta(days=1)).strftime("%Y-%m")


def grouped(number: int) -> str:
    """A whole number in groups of three: ``12 431 207``."""
    return f"{number:,}".replace(",", " ")


def decimals(value: int, per_unit: int, digits: int) -> str:
    """A whole number of small units in large ones, rounded half up, in groups of three.

    In integers, for a sum of milligrams can hold more digits than a float.
    """
    scale = 10**digits
    scaled = (2 * abs(value) * scale + per_unit) // (2 * per_unit)
    sign = "-" if value < 0 and scaled else ""
    whole, rest = divmod(scaled, scale)
    return f"{sign}{grouped(whole)}.{rest:0{digits}d}"


def uncertainty_words(document: ReportDocument) -> str:
    """``1.20 kWh ± 240 Wh``: the energy of jobs with a modelled part; empty where there is none."""
    totals = document["totals"]
    if not totals["modelled_j"]:
        return ""
    return f"{format_energy(totals['modelled_j'])} ± {format_energy(totals['uncertainty_j'])}"


def embodied_words(document: ReportDocument) -> str:
    """What the embodied carbon is of, beside its mass."""
    totals = document["totals"]
    some = totals["embodied_jobs"] < totals["jobs"]
    of = f" of {totals['embodied_jobs']} of {totals['jobs']} jobs" if some else ""
    return f"making the nodes{of}; in no sum"


def pue_words(document: ReportDocument) -> str:
    """``1.18 to 1.24``, or the one number; empty where none is known."""
    pue = document["pue"]
    if pue is None:
        return ""
    low, high = (f"{one:.4g}" for one in (pue["low"], pue["high"]))
    return low if low == high else f"{low} to {high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePart:
    """A part of the nodes with its energy; ``name`` is the document's, empty for the untold."""

    name: str
    words: str
    energy_j: int


def node_parts(document: ReportDocument) -> list[NodePart]:
    """The energy by part of the node, adding up to the total; none where nobody tells."""
    told: dict[str, int] = {**document["domains"]}  # type: ignore[dict-item]  # whole numbers
    parts = [
        NodePart(name=name, words=words, energy_j=told[name])
        for name, words in DOMAIN_WORDS.items()
        if told.get(name)
    ]
    left_j = document["totals"]["energy_j"] - sum(part.energy_j for part in parts)
    if parts and left_j > 0:
        parts.append(NodePart(name="", words=UNTOLD, energy_j=left_j))
    return parts


def saved_unknown_words(document: ReportDocument) -> str:
    """Why no saving can be told."""
    if document["totals"]["deferred_jobs"] == 0:
        return "none: no job was deferred"
    return "not known: no deferred job has final figures yet"


def cpu_time(seconds: int) -> str:
    """``4 198 CPU hours``, in minutes below one hour."""
    if seconds < 3600:
        return f"{seconds // 60} CPU minutes"
    return f"{grouped(seconds // 3600)} CPU hours"


def distance(km: float) -> str:
    """``228.8 km``, in metres below one kilometre."""
    return f"{km * 1000:.0f} m" if km < 1 else f"{km:,.1f} km".replace(",", " ")


def share(part: float, whole: float) -> float:
    """A part as a fraction of the whole; of nothing, nothing."""
    return part / whole if whole > 0 else 0.0


def per_hundred(fraction: float) -> str:
    """``61.2 %``; what is above zero never reads as zero."""
    if 0 < fraction < 0.0005:
        return "< 0.1 %"
    return f"{100 * fraction:.1f} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A quota as fractions of what may be used."""

    allowed_mg: int
    charged: float
    reserved: float
    overdrawn: bool

    @property
    def used(self) -> float:
        """Charged and reserved together; above one where overdrawn."""
        return self.charged + self.reserved


def budget(quota: QuotaStanding) -> Budget:
    """The fractions; a budget of nothing is used up wholly by anything."""
    allowed = quota["budget_mg"] + quota["granted_mg"]
    charged, reserved = quota["charged_mg"], quota["reserved_mg"]
    if allowed <= 0:
        some = charged + reserved
        allowed_for_shares = max(some, 1)
    else:
        allowed_for_shares = allowed
    return Budget(
        allowed_mg=allowed,
        charged=share(charged, allowed_for_shares),
        reserved=share(reserved, allowed_for_shares),
        overdrawn=quota["remaining_mg"] < 0,
    )


def grid_mean(steps: list[IntensityStep]) -> float | None:
    """The grid's mean intensity over the steps, by time."""
    seconds = sum(step["end_at"] - step["start_at"] for step in steps)
    if seconds <= 0:
        return None
    total = sum(step["g_per_kwh"] * (step["end_at"] - step["start_at"]) for step in steps)
    return total / seconds


def jobs_mean(jobs: list[JobRow]) -> float | None:
    """The mean intensity that the jobs met, by energy."""
    weights = [(job["energy_j"] or 0, job["g_per_kwh"]) for job in jobs]
    energy_j = sum(energy for energy, intensity in weights if intensity is not None)
    if energy_j <= 0:
        return None
    return sum(energy * (intensity or 0) for energy, intensity in weights) / energy_j


def met_words(document: ReportDocument) -> str:
    """How clean the grid was when the jobs ran, beside its mean over the same days."""
    met, grid = jobs_mean(document["jobs"]), grid_mean(document["intensity"])
    if met is None or grid is None:
        return ""
    which = "jobs"
    if len(document["jobs"]) < document["totals"]["jobs"]:
        which = f"{len(document['jobs'])} largest jobs"
    return (
        f"By energy, the {which} met {met:.0f} g/kWh; the grid's mean over the time shown"
        f" was {grid:.0f} g/kWh."
    )


def disagreements(document: ReportDocument) -> list[str]:
    """Where parts do not add up to the totals: empty unless something is wrong."""
    totals = document["totals"]
    found = []
    for name, parts in (("days", document["days"]), ("accounts", document["accounts"])):
        for key, unit, total in (
            ("energy_j", "J", totals["energy_j"]),
            ("mg", "mg", totals["mg"]),
        ):
            summed = sum(part[key] for part in parts)  # type: ignore[literal-required]  # one of the two above
            if parts and summed != total:
                found.append(f"The {name} add up to {summed} {unit}, the month to {total} {unit}.")
    if len(document["jobs"]) == totals["jobs"]:
        found += _job_disagreements(document["jobs"], totals["energy_j"], totals["mg"])
    return found


def _job_disagreements(jobs: list[JobRow], energy_j: int, mg: int) -> list[str]:
    sums = (
        (sum(job["energy_j"] or 0 for job in jobs), energy_j, "J"),
        (sum(job["mg"] or 0 for job in jobs), mg, "mg"),
    )
    return [
        f"The jobs add up to {summed} {unit}, the month to {total} {unit}."
        for summed, total, unit in sums
        if summed != total
    ]
