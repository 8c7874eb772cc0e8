"""One job of the queue in sentences: when, why, what it is expected to take, on what grounds."""

from __future__ import annotations

from carbonsched.model.plan import three_masses
from carbonsched.reports.documents import LeftDocument, PredictionDocument, QueueJob, QuotaShare
from carbonsched.reports.moments import span, when
from carbonsched.reports.queue import exceeds, format_share, pending, progress
from carbonsched.reports.terminal import Screen, clean, cut, paragraph
from carbonsched.units import format_duration, format_energy, format_mass


def explained(job: QueueJob, now: int, screen: Screen) -> list[str]:
    """One job's decision in sentences: when, why, what it is expected to take, on what grounds."""
    head = f"{job['shown_id']} {job['name']} ({job['user']}, {job['state'].lower()})"
    lines = [screen.paint(cut(clean(head), screen.width), "bold")]
    facts = [
        _timing(job, now),
        _stop(job, now),
        _pilot(job, now),
        _decision(job),
        _masses(job, now),
        *predicted(job, now),
        _budget(job),
    ]
    for fact in facts:
        lines += paragraph(fact, screen.width, "  ") if fact else []
    return lines


def _timing(job: QueueJob, now: int) -> str:
    if not pending(job):
        started = job["started_at"]
        told = f"Started {when(started, now)}." if started is not None else ""
        epoch = f" Epoch {progress(job).replace('/', ' of ')}." if job["epoch"] is not None else ""
        return told + epoch
    planned, latest = job["planned_start_at"], job["latest_at"]
    if planned is None:
        return f"No plan yet; Slurm says: {job['reason'] or 'nothing'}."
    ahead = f", in {span(planned - now)}" if planned > now else ""
    bound = f"; at the latest {when(latest, now)}" if latest is not None else ""
    return f"Planned start {when(planned, now)}{ahead}{bound}."


def _stop(job: QueueJob, now: int) -> str:
    """What running in pieces means for the job, if it does."""
    if job["stopping_at"] is not None:
        return (
            f"It was told {when(job['stopping_at'], now)} to write a checkpoint; it is about to be"
            " stopped, to go on in a cleaner window."
        )
    if job["stopped_at"] is None:
        return ""
    stopped = f"It was stopped {when(job['stopped_at'], now)} for a cleaner window"
    if not pending(job):
        return f"{stopped} and has gone on since it started."
    planned, saved_mg, pilot = job["planned_start_at"], job["saved_mg"], job["pilot"]
    if job["earlier_runs"] == 1 and pilot is not None and pilot["stopped"]:
        saved_mg = None  # told by the decision, beside running on; a second figure would confuse
    goes_on = f" and goes on {when(planned, now)}" if planned is not None else ""
    saves = f", which is expected to save {format_mass(saved_mg)}" if (saved_mg or 0) > 0 else ""
    return f"{stopped}{goes_on}{saves}."


def _decision(job: QueueJob) -> str:
    text = job["plan_text"] or ""
    return f"Decided: {text}" if text else ""


def _masses(job: QueueJob, now: int) -> str:
    """What it weighs started at once, as planned and at best, all reckoned when it was planned."""
    planned_mg = job["expected_mg"] if job["shadow_mg"] is None else job["shadow_mg"]
    masses = three_masses(job["baseline_mg"], planned_mg, job["best_mg"])
    if not masses:
        return ""
    words = f"CO2, as reckoned {when(job['planned_at'], now)}: {masses}."
    return f"{words} Forecast: {job['forecast_label']}" if job["forecast_label"] else words


def _pilot(job: QueueJob, now: int) -> str:
    """What its first epoch is for, or came to."""
    given = job["pilot"]
    if given is None:
        return ""
    if given["decided_at"] is None:
        return "It is a pilot: after its first epoch it is decided whether it goes on at once."
    decided = (
        f"It is a pilot; after its first epoch it was decided {when(given['decided_at'], now)}"
    )
    if given["stopped"]:
        return f"{decided} that it goes on later, {given['note']}."
    return f"{decided} that it goes on: {given['note']}."


def _budget(job: QueueJob) -> str:
    given = job["budget"]
    if given is None:
        return ""
    if given["state"] not in (None, "warned"):
        return f"{given['text']}. It is ended: {given['note']}."
    over = ": more than it has" if exceeds(given) else ""
    return f"{given['text']}{over}. It is ended when that is used up."


def predicted(job: QueueJob, now: int) -> list[str]:
    """What is predicted with intervals, on what grounds, and what it takes of quotas."""
    given = job["prediction"]
    if given is None:
        return ["Prediction: none yet."]
    finish = when(job["finish_at"], now)
    if job["finish_at"] is not None:
        low, high = when(job["finish_low_at"], now), when(job["finish_high_at"], now)
        finish += f" (9 in 10: {low} to {high})"
    return [
        f"Prediction from {given['source']}: {given['explanation']}",
        *([f"  samples {given['samples']}"] if given["samples"] else []),
        *(["  finish  " + finish] if job["finish_at"] is not None else []),
        "  time    " + _interval(given, "duration"),
        "  energy  " + _interval(given, "energy"),
        "  CO2     " + _interval(given, "mass"),
        *_earlier(job),
        *(_share(one) for one in job["quota"]),
    ]


def _earlier(job: QueueJob) -> list[str]:
    """Its runs before, and the job as one, where it runs in pieces."""
    given, mg, energy_j = job["prediction"], job["earlier_mg"], job["earlier_j"]
    if not job["earlier_runs"] or given is None:
        return []
    runs = "the run before it" if job["earlier_runs"] == 1 else f"{job['earlier_runs']} runs before"
    length = format_duration(job["earlier_s"])
    words = f"  That is of this run; {runs} took {length}"
    if mg is None or energy_j is None or given["mg"] is None:
        return [f"{words}, of which nothing is charged yet."]
    whole_j = format_energy(energy_j + given["energy_j"])
    whole = f"{whole_j} and {format_mass(mg + given['mg'])}"
    return [f"{words}, {format_energy(energy_j)} and {format_mass(mg)}: {whole} in all."]


def _share(one: QuotaShare) -> str:
    left = f"{format_mass(one['left_mg'])} left of the quota of {one['subject']}"
    if one["share"] is None:
        return f"  {left} in {one['period']}"
    return f"  {format_share(one['share'])} of the {left} in {one['period']}"


def otherwise(job: QueueJob) -> list[str]:
    """What is left of it as it is, and under the condition that was asked for."""
    given = job.get("otherwise")
    if given is None or given["left"] is None or given["changed"] is None:
        return [f"Otherwise: {given['why'] if given else 'not known'}."]
    over = ["  Its time limit would end it before that."] if given["beyond_limit"] else []
    return [
        f"Left of it at {given['here']}, as it is:",
        *_left(given["left"]),
        f"Left of it at {given['there']}, {given['by']}:",
        *_left(given["changed"]),
        *over,
    ]


def _left(given: LeftDocument) -> list[str]:
    return [
        "  time    " + _interval(given, "duration"),
        "  energy  " + _interval(given, "energy"),
        "  CO2     " + _interval(given, "mass"),
    ]


def _interval(given: PredictionDocument | LeftDocument, what: str) -> str:
    if what == "duration":
        middle, low, high = (
            format_duration(given["duration_s"]),
            format_duration(given["duration_low_s"]),
            format_duration(given["duration_high_s"]),
        )
    elif what == "energy":
        middle, low, high = (
            format_energy(given["energy_j"]),
            format_energy(given["energy_low_j"]),
            format_energy(given["energy_high_j"]),
        )
    else:
        middle, low, high = (
            format_mass(given["mg"]),
            format_mass(given["mg_low"]),
            format_mass(given["mg_high"]),
        )
    return f"{middle} (9 in 10: {low} to {high})" if middle != "-" else "not known"
