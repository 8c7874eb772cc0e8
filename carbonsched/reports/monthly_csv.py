"""The monthly statement for a spreadsheet: one table, one header, whole joules and milligrams."""

from __future__ import annotations

import csv
import io

from carbonsched.reports.documents import DomainsDocument, JobRow, ReportDocument
from carbonsched.reports.moments import local, zone_named
from carbonsched.reports.monthly import node_parts
from carbonsched.reports.terminal import clean

COLUMNS = (
    "section", "name", "job_id", "user", "account", "campaign", "state", "start", "end",
    "jobs", "elapsed_s", "energy_j", "mg", "provisional_mg", "saved_mg", "g_per_kwh", "pue",
    "quality", "coverage", "share_pct", "source", "uncertainty_j", "embodied_mg", "cpu_j",
    "memory_j", "gpu_j", "node_j", "rest_j", "pue_source",
)  # fmt: skip
"""``section``: report, total, quality, domain, pue, day, account, campaign, job, quota or car.

New columns come last, so that what reads the old ones by their place goes on doing so.
"""

_FORMULA = ("=", "+", "-", "@")
Value = str | int | float | None


def statement_csv(document: ReportDocument) -> str:
    """The whole statement; add up within one ``section`` only."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for row in _rows(document):
        writer.writerow({name: _safe(value) for name, value in row.items()})
    return text.getvalue()


def _safe(value: Value) -> str | int | float:
    """Text that no spreadsheet takes for a formula and no reader for a line end."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    text = clean(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _rows(document: ReportDocument) -> list[dict[str, Value]]:
    period, totals, car = document["period"], document["totals"], document["car"]
    subject = f"{document['subject']['kind']}:{document['subject']['name']}"
    span: dict[str, Value] = {
        "start": _moment(period["start_at"], document),
        "end": _moment(period["end_at"], document),
    }
    rows: list[dict[str, Value]] = [
        {"section": "report", "name": subject, **span, "source": "; ".join(document["sources"])},
        {
            "section": "total",
            "name": period["name"],
            **span,
            **{
                key: totals[key]
                for key in (
                    "jobs",
                    "elapsed_s",
                    "energy_j",
                    "mg",
                    "provisional_mg",
                    "saved_mg",
                    "uncertainty_j",
                    "embodied_mg",
                )
            },
            **_domains(document["domains"]),
        },
    ]
    rows += [
        {"section": "quality", "name": one["quality"], "jobs": one["jobs"],
         "energy_j": one["energy_j"], "share_pct": one["share_pct"]}
        for one in document["quality"]
    ]  # fmt: skip
    rows += [
        {"section": "domain", "name": part.name or "(not told)", "energy_j": part.energy_j}
        for part in node_parts(document)
    ]
    if (pue := document["pue"]) is not None:
        rows += [
            {"section": "pue", "name": name, "pue": value, "pue_source": "; ".join(pue["sources"])}
            for name, value in (("lowest", pue["low"]), ("highest", pue["high"]))
        ]
    rows += [
        {"section": "day", "name": one["date"], "jobs": one["jobs"],
         "energy_j": one["energy_j"], "mg": one["mg"]}
        for one in document["days"]
    ]  # fmt: skip
    for section, groups in (("account", document["accounts"]), ("campaign", document["campaigns"])):
        rows += [
            {"section": section, "name": one["name"], "jobs": one["jobs"],
             "energy_j": one["energy_j"], "mg": one["mg"]}
            for one in groups
        ]  # fmt: skip
    rows += [_job(job, document) for job in document["jobs"]]
    if (quota := document["quota"]) is not None:
        rows += [
            {"section": "quota", "name": f"{quota['subject']} {key.removesuffix('_mg')}",
             "mg": quota[key]}
            for key in ("budget_mg", "granted_mg", "charged_mg", "reserved_mg", "remaining_mg")
        ]  # fmt: skip
    rows.append({
        "section": "car", "name": f"{car['km']} km at {car['g_per_km']} g/km",
        "source": f"{car['source']}, {car['year']}",
    })  # fmt: skip
    return rows


def _job(job: JobRow, document: ReportDocument) -> dict[str, Value]:
    return {
        "section": "job",
        "name": job["name"],
        "job_id": job["shown_id"],
        "user": job["user"],
        "account": job["account"],
        "campaign": job["campaign"],
        "state": job["state"],
        "start": _moment(job["started_at"], document),
        "end": _moment(job["ended_at"], document),
        "jobs": 1,
        "elapsed_s": job["elapsed_s"],
        "energy_j": job["energy_j"],
        "mg": job["mg"],
        "provisional_mg": (job["mg"] if job["provisional"] else 0),
        "saved_mg": job["saved_mg"],
        "g_per_kwh": job["g_per_kwh"],
        "pue": job["pue"],
        "quality": job["quality"],
        "coverage": job["coverage"],
        "source": "; ".join(job["sources"]),
        "uncertainty_j": job["uncertainty_j"],
        "embodied_mg": job["embodied_mg"],
        "pue_source": job["pue_source"],
        **_domains(job["domains"]),
    }


def _domains(domains: DomainsDocument) -> dict[str, Value]:
    return {
        "cpu_j": domains.get("cpu"),
        "memory_j": domains.get("memory"),
        "gpu_j": domains.get("gpu"),
        "node_j": domains.get("node"),
        "rest_j": domains.get("rest"),
    }


def _moment(at: int | None, document: ReportDocument) -> Value:
    zone = zone_named(document["period"]["time_zone"])
    return None if at is None else local(at, zone).isoformat()
