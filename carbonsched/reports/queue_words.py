"""One job of the queue in sentences: when, why, what it is expected to take, on what grounds."""

from __future__ import annotations

from collections.abc import Callable

from carbonsched.model.plan import three_masses
from carbonsched.reports.moments import localised, span, when
from carbonsched.reports.queue import exceeds, format_share, pending, progress
from carbonsched.reports.queue_documents import (
    LeftDocument,
    PredictionDocument,
    QueueJob,
    QuotaShare,
)
from carbonsched.reports.terminal import Screen, clean, cut, paragraph
from carbonsched.units import format_duration, format_energy, format_mass

_INDENT = "  "


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
    ]
    return [
        *lines,
        *_sentences(facts, screen),
        *predicted(job, now, screen),
        *_sentences([_budget(job)], screen),
    ]


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
        asked = "It is a pilot: after its first epoch it is decided whether it goes on at once."
        return f"{asked} {missing}" if (missing := _marks_missing(job)) else asked
    decided = (
        f"It is a pilot; after its first epoch it was decided {when(given['decided_at'], now)}"
    )
    note = localised(given["note"], now)
    if given["stopped"]:
        return f"{decided} that it goes on later, {note}."
    return f"{decided} that it goes on: {note}."


def _marks_missing(job: QueueJob) -> str:
    """What a pilot that runs has not marked and without which nothing is ever decided on it."""
    if pending(job):
        return ""
    if job["epoch"] is None:
        return "Its first epoch has not been marked; without marks nothing is decided."
    if job["epochs"] is None:
        return (
            "Its epochs are marked, but not how many there are; without that nothing is decided."
            " --carbon-epochs=N tells it at submission."
        )
    return ""


def _budget(job: QueueJob) -> str:
    given = job["budget"]
    if given is None:
        return ""
    if given["state"] not in (None, "warned"):
        return f"{given['text']}. It is ended: {given['note']}."
    over = ": more than it has" if exceeds(given) else ""
    return f"{given['text']}{over}. It is ended when that is used up."


def predicted(job: QueueJob, now: int, screen: Screen) -> list[str]:
    """What is predicted with intervals, on what grounds, and what it takes of quotas, as lines."""
    given = job["prediction"]
    if given is None:
        return _sentences(["Prediction: none yet."], screen)
    grounds = [f"Prediction from {given['source']}: {given['explanation']}"]
    if given["samples"]:
        grounds.append(f"samples {given['samples']}")
    shares = [*_earlier(job), *(_share(one) for one in job["quota"])]
    return [
        *_sentences(grounds, screen),
        *_table(job, given, now),
        *_sentences(shares, screen),
    ]


def _sentences(facts: list[str], screen: Screen) -> list[str]:
    return [line for fact in facts for line in paragraph(fact, screen.width, _INDENT)]


def _table(job: QueueJob, given: PredictionDocument, now: int) -> list[str]:
    """The figures with both intervals."""
    finish = (
        *(job["finish_low_at"], job["finish_p25_at"], job["finish_at"]),
        *(job["finish_p75_at"], job["finish_high_at"]),
    )
    duration = (
        *(given["duration_low_s"], given["duration_p25_s"], given["duration_s"]),
        *(given["duration_p75_s"], given["duration_high_s"]),
    )
    energy = (
        *(given["energy_low_j"], given["energy_p25_j"], given["energy_j"]),
        *(given["energy_p75_j"], given["energy_high_j"]),
    )
    mass = (
        *(given["mg_low"], given["mg_p25"], given["mg"]),
        *(given["mg_p75"], given["mg_high"]),
    )
    return [
        f"{_INDENT}{'':8}{'predicted':>12}{'half lie within':>29}{'nine in ten within':>29}",
        *([_row("finish", lambda at: when(at, now), *finish)] if job["finish_at"] else []),
        _row("time", format_duration, *duration),
        _row("energy", format_energy, *energy),
        _row("CO2", format_mass, *mass),
    ]


def _row(name: str, form: Callable[[int | None], str], *values: int | None) -> str:
    """One quantity by its 5, 25, 50, 75 and 95 % values; what is missing is told as such."""
    low, quarter, middle, most, high = map(form, values)
    if values[2] is None:
        return f"{_INDENT}{name:8}{'not known':>12}"
    half = "-" if None in values else f"{quarter} - {most}"
    return f"{_INDENT}{name:8}{middle:>12}{half:>29}{f'{low} - {high}':>29}"


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


def otherwise(job: QueueJob, screen: Screen) -> list[str]:
    """What is left of it as it is, and under the condition that was asked for."""
    given = job.get("otherwise")
    if given is None or given["left"] is None or given["changed"] is None:
        return _sentences([f"Otherwise: {given['why'] if given else 'not known'}."], screen)
    over = ["Its time limit would end it before that."] if given["beyond_limit"] else []
    return [
        *_sentences([f"Left of it at {given['here']}, as it is:"], screen),
        *_left(given["left"]),
        *_sentences([f"Left of it at {given['there']}, {given['by']}:"], screen),
        *_left(given["changed"]),
        *_sentences(over, screen),
    ]


def _left(given: LeftDocument) -> list[str]:
    """It has no 50 % interval: how that of a ratio looks is not known."""
    duration = (given["duration_low_s"], None, given["duration_s"], None, given["duration_high_s"])
    energy = (given["energy_low_j"], None, given["energy_j"], None, given["energy_high_j"])
    mass = (given["mg_low"], None, given["mg"], None, given["mg_high"])
    return [
        _row("time", format_duration, *duration),
        _row("energy", format_energy, *energy),
        _row("CO2", format_mass, *mass),
    ]
