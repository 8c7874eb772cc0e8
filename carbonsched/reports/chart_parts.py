"""What the charts of a statement share: colours, and the axis of time."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

from carbonsched.reports.documents import IntensityStep, JobRow, ReportDocument
from carbonsched.reports.moments import local, zone_named

Figure = dict[str, Any]

# Clean to dirty, apart from each other for colour-blind readers, on white and on black.
CLEAN_TO_DIRTY = (
    (0.0, "#12836f"), (0.35, "#62ab8c"), (0.6, "#d1b04a"), (0.8, "#c67a2e"), (1.0, "#8f3d12"),
)  # fmt: skip
QUALITY_COLOURS = {
    "measured": "#12836f",
    "sampled": "#62ab8c",
    "partial": "#d1b04a",
    "modelled": "#c67a2e",
    "missing": "#8a8f98",
}
UNKNOWN = QUALITY_COLOURS["missing"]


class TimeAxis:
    """Site time at one fixed offset, so that an hour that summer time repeats is no step back."""

    def __init__(self, document: ReportDocument) -> None:
        period = document["period"]
        start = local(period["start_at"], zone_named(period["time_zone"]))
        self._zone = timezone(start.utcoffset() or timedelta(0))
        self._end_at = document["generated_at"]
        self.label = f"site time ({start.strftime('UTC%z')[:6]}:{start.strftime('%z')[3:5]})"

    def write(self, at: int) -> str:
        """The instant as Plotly reads it, without an offset."""
        return local(at, self._zone).strftime("%Y-%m-%d %H:%M:%S")

    def range_of(self, jobs: list[JobRow], steps: list[IntensityStep]) -> list[str]:
        """From the first job to the last with some air, for most months' jobs fill part of it."""
        if jobs:
            starts = [job_start(job) for job in jobs]
            ends = [job["ended_at"] or self._end_at for job in jobs]
        else:
            starts = [step["start_at"] for step in steps]
            ends = [step["end_at"] for step in steps]
        air = max(30, (max(ends) - min(starts)) // 40)
        return [self.write(min(starts) - air), self.write(max(ends) + air)]


def job_start(job: JobRow) -> int:
    """Where a job's bar or its dotted wait begins."""
    started = job["started_at"] or job["submitted_at"]
    return max(job["submitted_at"], started - job["deferred_s"]) if job["deferred_s"] else started
