"""The monthly statement as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from carbonsched.reports import charts, states
from carbonsched.reports.chart_parts import QUALITY_COLOURS
from carbonsched.reports.chart_ran import when_jobs_ran
from carbonsched.reports.documents import IntensityStep, ReportDocument
from carbonsched.reports.jobs import shown_mass
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
    grid_mean,
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
    uncertainty_words,
)
from carbonsched.reports.terminal import clean
from carbonsched.units import J_PER_KWH, MG_PER_G, format_duration, format_energy, format_mass

_SHOWN_JOBS = 25


def statement_html(document: ReportDocument) -> str:
    """The page, with Plotly's script inside: some 4.8 MB, the package ships no smaller one."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - slow, and wanted by nobody else

    document = _cleaned(document)
    figures = {
        "ran": when_jobs_ran(document),
        "days": charts.by_day(document),
        "quality": charts.quality_shares(document),
    }
    drawn = {name: figure for name, figure in figures.items() if figure is not None}
    scripts = [get_plotlyjs(), _packaged("report.js")] if drawn else []
    template = _environment(document).get_template("report.html.j2")
    return template.render(
        document=document,
        empty=empty_words(document) if is_empty(document) else "",
        figures=drawn,
        figures_json=_embedded(drawn),
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own and the package's
        policy=_policy(scripts),
        css=Markup(_packaged("report.css")),  # noqa: S704 - our own
        budget=budget(document["quota"]) if document["quota"] else None,
        grid_days=_grid_days(document),
        shown_jobs=_SHOWN_JOBS,
    )


def _environment(document: ReportDocument) -> Environment:
    environment = Environment(
        loader=PackageLoader("carbonsched.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    zone = zone_named(document["period"]["time_zone"])
    environment.filters.update(
        mass=format_mass,
        energy=format_energy,
        duration=format_duration,
        grouped=grouped,
        grams=lambda mg: decimals(mg, MG_PER_G, 3),
        kwh=lambda joules: decimals(joules, J_PER_KWH, 3),
        job_mass=shown_mass,
        state=states.base,
        cpu_time=cpu_time,
        distance=distance,
        percent=per_hundred,
        wide=lambda fraction: f"{100 * min(max(fraction, 0.0), 1.0):.2f}%",
        moment=lambda at: "-" if at is None else local(at, zone).strftime("%d %b %H:%M"),
        moment_full=lambda at: local(at, zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
        iso=lambda at: local(at, zone).isoformat(),
    )
    environment.globals.update(
        month=month_words(document["period"]),
        range=range_words(document["period"]),
        subject=subject_words(document),
        met=met_words(document),
        saved_unknown=saved_unknown_words(document),
        wrong=disagreements(document),
        quality_words=QUALITY_WORDS,
        quality_colours=QUALITY_COLOURS,
        share=share,
        embodied=embodied_words(document),
        modelled=uncertainty_words(document),
        pue=pue_words(document),
        node_parts=node_parts(document),
    )
    return environment


def _cleaned(value: Any) -> Any:
    """The document with every text on one line and without controls or turned writing."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if isinstance(value, dict):
        return {name: _cleaned(one) for name, one in value.items()}
    return value


def _embedded(figures: dict[str, Any]) -> Markup:
    """JSON that cannot end the script element it lies in."""
    text = json.dumps(figures, allow_nan=False)
    for one in "<>&":
        text = text.replace(one, f"\\u{ord(one):04x}")
    return Markup(text)  # noqa: S704 - nothing left that HTML could read


def _packaged(name: str) -> str:
    return (files("carbonsched.reports") / "templates" / name).read_text(encoding="utf-8")


def _policy(scripts: list[str]) -> str:
    """A content security policy: exactly these scripts, and no connection to anywhere."""
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    allowed = " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)
    return (
        f"default-src 'none'; script-src {allowed or chr(39) + 'none' + chr(39)};"
        " style-src 'unsafe-inline'; img-src data: blob:"
    )


def _grid_days(document: ReportDocument) -> list[dict[str, Any]]:
    """Lowest, mean and highest intensity of each day: the chart's alternative as a table."""
    zone = zone_named(document["period"]["time_zone"])
    days: dict[str, list[IntensityStep]] = {}
    for step in document["intensity"]:
        day: datetime = local(step["start_at"], zone)
        days.setdefault(day.strftime("%Y-%m-%d"), []).append(step)
    return [
        {
            "date": date,
            "low": min(step["g_per_kwh"] for step in steps),
            "mean": grid_mean(steps),
            "high": max(step["g_per_kwh"] for step in steps),
        }
        for date, steps in days.items()
    ]
