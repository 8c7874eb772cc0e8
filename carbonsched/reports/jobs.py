"""Jobs with their energy and carbon as csacct shows them."""

from __future__ import annotations

import re
from collections.abc import Callable

from carbonsched.errors import RequestError
from carbonsched.reports import states
from carbonsched.reports.documents import JobRow
from carbonsched.reports.fields import Field, Raw
from carbonsched.reports.moments import stamp, when
from carbonsched.units import format_duration, format_energy, format_mass

DEFAULT = "JobID,JobName,State,Elapsed,Energy,CO2,g/kWh,Quality,Saved"
PROVISIONAL = "~"
PROVISIONAL_NOTE = "~ provisional: readings or the grid's final figures are still to come"
_ID = re.compile(r"[0-9]{1,12}(?:_[0-9]{1,10}|\+[0-9]{1,4})?")
QUALITY_TINT = {"missing": "red", "partial": "yellow", "modelled": "yellow"}


def shown_mass(job: JobRow) -> str:
    """The job's mass, marked where it may still change."""
    mark = PROVISIONAL if job["provisional"] and job["mg"] is not None else ""
    return mark + format_mass(job["mg"])


def _text(name: str, title: str, of: Callable[[JobRow], str], *, floor: int = 4) -> Field[JobRow]:
    return Field(
        name=name, title=title, raw_name=name, floor=floor,
        shown=lambda job, _: of(job) or "-", raw=lambda job, _: of(job) or None,
    )  # fmt: skip


def _count(name: str, of: Callable[[JobRow], int]) -> Field[JobRow]:
    return Field(
        name=name, title=name, raw_name=name, right=True,
        shown=lambda job, _: str(of(job)), raw=lambda job, _: of(job),
    )  # fmt: skip


def _instant(name: str, of: Callable[[JobRow], int | None]) -> Field[JobRow]:
    return Field(
        name=name, title=name, raw_name=name,
        shown=lambda job, now: when(of(job), now), raw=lambda job, _: stamp(of(job)),
    )  # fmt: skip


def _figure(
    name: str,
    raw_name: str,
    shown: Callable[[JobRow], str],
    raw: Callable[[JobRow], Raw],
    tint: Callable[[JobRow], str] = lambda _: "",
) -> Field[JobRow]:
    return Field(
        name=name, title=name, raw_name=raw_name, right=True, tint=tint,
        shown=lambda job, _: shown(job), raw=lambda job, _: raw(job),
    )  # fmt: skip


def _quality(job: JobRow) -> str | None:
    """How the energy was obtained; of a job that has not begun nothing can be missing."""
    return None if job["started_at"] is None else job["quality"]


def _domain(name: str, of: Callable[[JobRow], int | None]) -> Field[JobRow]:
    return _figure(name, f"{name}_J", lambda job: format_energy(of(job)), of)


def _other_j(job: JobRow) -> int | None:
    """What is neither CPUs' nor memory's nor GPUs', or was not told apart."""
    if job["energy_j"] is None or not job["domains"]:
        return None
    domains = job["domains"]
    known_j = domains.get("cpu", 0) + domains.get("memory", 0) + domains.get("gpu", 0)
    return job["energy_j"] - known_j


def _uncertainty(job: JobRow) -> str:
    joules = job["uncertainty_j"]
    return "-" if joules is None else f"± {format_energy(joules)}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.0f}%"


FIELDS: tuple[Field[JobRow], ...] = (
    _text("JobID", "JobID", lambda job: job["shown_id"], floor=8),
    _text("JobName", "JobName", lambda job: job["name"], floor=6),
    Field(name="State", title="State", raw_name="State", floor=9,
          shown=lambda job, _: job["state"], raw=lambda job, _: job["state"],
          tint=lambda job: states.tint(job["state"])),
    _figure("Elapsed", "Elapsed_s",
            lambda job: format_duration(job["elapsed_s"]), lambda job: job["elapsed_s"]),
    _figure("Energy", "Energy_J",
            lambda job: format_energy(job["energy_j"]), lambda job: job["energy_j"]),
    _figure("CO2", "CO2_mg", shown_mass, lambda job: job["mg"]),
    _figure("g/kWh", "g_per_kWh",
            lambda job: _number(job["g_per_kwh"], 0), lambda job: job["g_per_kwh"]),
    Field(name="Quality", title="Quality", raw_name="Quality",
          shown=lambda job, _: _quality(job) or "-", raw=lambda job, _: _quality(job),
          tint=lambda job: QUALITY_TINT.get(_quality(job) or "", "")),
    _figure("Saved", "Saved_mg",
            lambda job: format_mass(job["saved_mg"]), lambda job: job["saved_mg"],
            lambda job: "green" if (job["saved_mg"] or 0) > 0 else ""),
    _text("User", "User", lambda job: job["user"]),
    _text("Account", "Account", lambda job: job["account"]),
    _text("Campaign", "Campaign", lambda job: job["campaign"] or ""),
    _text("Partition", "Partition", lambda job: job["partition"]),
    _text("Cluster", "Cluster", lambda job: job["cluster"]),
    _count("Restarts", lambda job: job["restarts"]),
    _count("NNodes", lambda job: job["node_count"]),
    _count("NCPUS", lambda job: job["cpus"]),
    _text("NodeList", "NodeList", lambda job: ",".join(job["nodes"])),
    _instant("Submit", lambda job: job["submitted_at"]),
    _instant("Start", lambda job: job["started_at"]),
    _instant("End", lambda job: job["ended_at"]),
    _figure("Deferred", "Deferred_s",
            lambda job: format_duration(job["deferred_s"]), lambda job: job["deferred_s"]),
    _figure("Coverage", "Coverage",
            lambda job: _percent(job["coverage"]), lambda job: job["coverage"]),
    _figure("PUE", "PUE", lambda job: _number(job["pue"], 3), lambda job: job["pue"]),
    _domain("CPUEnergy", lambda job: job["domains"].get("cpu")),
    _domain("MemEnergy", lambda job: job["domains"].get("memory")),
    _domain("GPUEnergy", lambda job: job["domains"].get("gpu")),
    _domain("OtherEnergy", _other_j),
    _figure("Uncertainty", "Uncertainty_J", _uncertainty, lambda job: job["uncertainty_j"]),
    _figure("Embodied", "Embodied_mg",
            lambda job: format_mass(job["embodied_mg"]), lambda job: job["embodied_mg"]),
    _text("Why", "Why", lambda job: job["why"], floor=10),
    _figure("Budget", "Budget_mg",
            lambda job: format_mass(job.get("budget_mg")), lambda job: job.get("budget_mg")),
    _text("BudgetState", "BudgetState", lambda job: job.get("budget_state") or ""),
    _instant("BudgetSince", lambda job: job.get("budget_at")),
    _text("BudgetWhy", "BudgetWhy", lambda job: job.get("budget_note") or "", floor=10),
    _figure("Provisional", "Provisional", lambda job: "yes" if job["provisional"] else "no",
            lambda job: int(job["provisional"])),
    _text("Source", "Source", lambda job: "; ".join(job["sources"]), floor=10),
)  # fmt: skip


def in_state(job: JobRow, wanted: set[str]) -> bool:
    """Whether the job is in one of the states, or none are given."""
    return not wanted or states.base(job["state"]) in wanted


def named(job: JobRow, wanted: str) -> bool:
    """Whether ``12`` (with its array tasks and heterogeneous parts) or ``12_3`` names the job."""
    return wanted in names(job["shown_id"], job["job_id"])


def names(shown_id: str, job_id: int) -> set[str]:
    """What a job may be called: ``12_3``, ``12``, and what Slurm calls it inside."""
    return {shown_id, id_base(shown_id), str(job_id)}


def id_base(shown_id: str) -> str:
    """The id without task or component: ``12`` of ``12_3`` and of ``12+1``."""
    return shown_id.split("_", 1)[0].split("+", 1)[0]


def read_id(text: str) -> str:
    """A job's id as people write it.

    Raises:
        RequestError: it is none.
    """
    if not _ID.fullmatch(text):
        raise RequestError(f"{text!r} is not a job id; write 1204, 1204_3 or 1204+1")
    return text
