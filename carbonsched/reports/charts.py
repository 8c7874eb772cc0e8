"""The charts of a monthly statement as Plotly figures in plain JSON.

Plotly draws them in the reader's browser; its Python objects would only be a slow way to write the
same JSON. Colours that depend on light or dark are set there, by ``templates/report.js``.
"""

from __future__ import annotations

from html import escape

from carbonsched.reports.chart_parts import QUALITY_COLOURS, UNKNOWN, Figure, TimeAxis
from carbonsched.reports.documents import ReportDocument
from carbonsched.reports.terminal import clean
from carbonsched.units import J_PER_KWH, MG_PER_G


def by_day(document: ReportDocument) -> Figure | None:
    """CO2 and energy of each day, one above the other on the same days."""
    days = document["days"]
    if not days:
        return None
    axis = TimeAxis(document)
    period = document["period"]
    dates = [day["date"] for day in days]
    in_kg = max(day["mg"] for day in days) >= 1000 * MG_PER_G
    per_unit, unit = (1000 * MG_PER_G, "kg") if in_kg else (MG_PER_G, "g")
    in_kwh = max(day["energy_j"] for day in days) >= J_PER_KWH
    per_energy, energy = (J_PER_KWH, "kWh") if in_kwh else (J_PER_KWH // 1000, "Wh")
    bars = {"type": "bar", "x": dates, "width": 0.72 * 86_400_000, "xperiod": 86_400_000}
    bars["xperiodalignment"] = "middle"
    return {
        "data": [
            {**bars, "y": [day["mg"] / per_unit for day in days], "name": "CO2",
             "marker": {"color": "#c67a2e"},
             "hovertemplate": "%{x|%a %d %b}: %{y:.3~f} " + unit + "<extra></extra>"},
            {**bars, "y": [day["energy_j"] / per_energy for day in days], "name": "energy",
             "yaxis": "y2", "marker": {"color": "#3f7fb5"},
             "hovertemplate": "%{x|%a %d %b}: %{y:.3~f} " + energy + "<extra></extra>"},
        ],
        "layout": {
            "height": 320,
            "showlegend": False,
            "margin": {"l": 56, "r": 12, "t": 12, "b": 32},
            "xaxis": {"type": "date", "anchor": "y2", "tickformat": "%-d %b",
                      "range": [axis.write(period["start_at"]), axis.write(period["end_at"])]},
            "yaxis": {"domain": [0.56, 1], "title": {"text": f"CO₂ {unit}"},
                      "rangemode": "tozero", "nticks": 4},
            "yaxis2": {"domain": [0, 0.44], "title": {"text": energy}, "rangemode": "tozero",
                       "nticks": 4},
        },
    }  # fmt: skip


def quality_shares(document: ReportDocument) -> Figure | None:
    """One bar: how much of the jobs' node time was measured, sampled, partial and so on."""
    shares = document["quality"]
    if not any(one["share_pct"] > 0 for one in shares):
        return None
    return {
        "data": [
            {"type": "bar", "orientation": "h", "x": [one["share_pct"]], "y": [""],
             "name": escape(clean(one["quality"])),
             "marker": {"color": QUALITY_COLOURS.get(one["quality"], UNKNOWN)},
             "hovertemplate": "%{fullData.name}: %{x:.1f} %<extra></extra>"}
            for one in shares
        ],
        "layout": {
            "height": 120, "barmode": "stack", "showlegend": True,
            "legend": {"orientation": "h", "y": 1.05, "yanchor": "bottom", "x": 0,
                       "traceorder": "normal"},
            "margin": {"l": 4, "r": 4, "t": 8, "b": 30},
            "xaxis": {"range": [0, 100], "ticksuffix": " %"},
            "yaxis": {"showticklabels": False},
        },
    }  # fmt: skip
