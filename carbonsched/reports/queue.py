"""The queue as csqueue shows it."""

from __future__ import annotations

from carbonsched.model.job import PENDING_STATES
from carbonsched.model.plan import three_masses
from carbonsched.reports import states
from carbonsched.reports.documents import PredictionDocument, QueueJob
from carbonsched.reports.fields import Field
from carbonsched.reports.moments import span, stamp, when
from carbonsched.reports.terminal import Screen, clean, cut, paragraph
from carbonsched.units import format_duration, format_energy, format_mass

DEFAULT = "JobID,Name,User,ST,Start,Why,CO2,Saves"
_WHY = {
    "cleaner": "cleaner later",
    "not-deferrable": "may not wait",
    "gain-too-small": "gain too small",
    "no-forecast": "no forecast",
    "forecast-too-short": "short forecast",
    "no-room": "no room",
    "quota": "quota used up",
    "user-begin": "own --begin",
    "shadow": "shadow mode",
}


def pending(job: QueueJob) -> bool:
    """Whether the job waits for its start."""
    return states.base(job["state"]) in PENDING_STATES


def _start_at(job: QueueJob) -> int | None:
    return job["planned_start_at"] if pending(job) else job["started_at"]


def _start(job: QueueJob, now: int) -> str:
    at = _start_at(job)
    if at is None or not pending(job):
        return when(at, now)
    return f"{when(at, now)} +{span(at - now)}" if at > now else "now"


def _why(job: QueueJob) -> str:
    if not pending(job):
        return f"epoch {_progress(job)}" if job["epoch"] is not None else ""
    reason = job["plan_reason"]
    return job["reason"] if reason is None else _WHY.get(reason, reason)


def _progress(job: QueueJob) -> str:
    of = "" if job["epochs"] is None else f"/{job['epochs']}"
    return "" if job["epoch"] is None else f"{job['epoch']}{of}"


def expected_mg(job: QueueJob) -> int | None:
    """What the plan expects of a waiting job; of a running one what is predicted now."""
    planned = job["expected_mg"]
    predicted = job["prediction"]["mg"] if job["prediction"] else None
    first, second = (planned, predicted) if pending(job) else (predicted, planned)
    return second if first is None else first


def _predicted(job: QueueJob, name: str) -> int | None:
    prediction = job["prediction"]
    if prediction is None:
        return None
    return {"energy_j": prediction["energy_j"], "duration_s": prediction["duration_s"]}[name]


def _saves_tint(job: QueueJob) -> str:
    return "green" if (job["saved_mg"] or 0) > 0 else ""


FIELDS: tuple[Field[QueueJob], ...] = (
    Field(name="JobID", title="JOBID", raw_name="JobID", floor=8,
          shown=lambda job, _: job["shown_id"], raw=lambda job, _: job["shown_id"]),
    Field(name="Name", title="NAME", raw_name="Name", floor=6,
          shown=lambda job, _: job["name"], raw=lambda job, _: job["name"]),
    Field(name="User", title="USER", raw_name="User", floor=4,
          shown=lambda job, _: job["user"], raw=lambda job, _: job["user"]),
    Field(name="ST", title="ST", raw_name="ST",
          shown=lambda job, _: states.short(job["state"]),
          raw=lambda job, _: states.short(job["state"]),
          tint=lambda job: states.tint(job["state"])),
    Field(name="State", title="STATE", raw_name="State", floor=6,
          shown=lambda job, _: job["state"], raw=lambda job, _: job["state"],
          tint=lambda job: states.tint(job["state"])),
    Field(name="Start", title="START", raw_name="Start",
          shown=_start, raw=lambda job, _: stamp(_start_at(job))),
    Field(name="Why", title="WHY", raw_name="Why", floor=8,
          shown=lambda job, _: _why(job), raw=lambda job, _: job["plan_reason"] or job["reason"]),
    Field(name="CO2", title="CO2", raw_name="CO2_mg", right=True,
          shown=lambda job, _: format_mass(expected_mg(job)), raw=lambda job, _: expected_mg(job)),
    Field(name="Saves", title="SAVES", raw_name="Saves_mg", right=True, tint=_saves_tint,
          shown=lambda job, _: format_mass(job["saved_mg"]), raw=lambda job, _: job["saved_mg"]),
    Field(name="Account", title="ACCOUNT", raw_name="Account", floor=4,
          shown=lambda job, _: job["account"], raw=lambda job, _: job["account"]),
    Field(name="Partition", title="PARTITION", raw_name="Partition", floor=4,
          shown=lambda job, _: job["partition"], raw=lambda job, _: job["partition"]),
    Field(name="Cluster", title="CLUSTER", raw_name="Cluster", floor=4,
          shown=lambda job, _: job["cluster"], raw=lambda job, _: job["cluster"]),
    Field(name="CPUs", title="CPUS", raw_name="CPUs", right=True,
          shown=lambda job, _: str(job["cpus"]), raw=lambda job, _: job["cpus"]),
    Field(name="Nodes", title="NODES", raw_name="Nodes", right=True,
          shown=lambda job, _: str(job["node_count"]), raw=lambda job, _: job["node_count"]),
    Field(name="Tasks", title="TASKS", raw_name="Tasks", right=True,
          shown=lambda job, _: str(job["tasks"]), raw=lambda job, _: job["tasks"]),
    Field(name="Restarts", title="RESTARTS", raw_name="Restarts", right=True,
          shown=lambda job, _: str(job["restarts"]), raw=lambda job, _: job["restarts"]),
    Field(name="Submit", title="SUBMIT", raw_name="Submit",
          shown=lambda job, now: when(job["submitted_at"], now),
          raw=lambda job, _: stamp(job["submitted_at"])),
    Field(name="Latest", title="LATEST", raw_name="Latest",
          shown=lambda job, now: when(job["latest_at"], now),
          raw=lambda job, _: stamp(job["latest_at"])),
    Field(name="Reason", title="REASON", raw_name="Reason", floor=8,
          shown=lambda job, _: job["reason"], raw=lambda job, _: job["reason"]),
    Field(name="Epoch", title="EPOCH", raw_name="Epoch", right=True,
          shown=lambda job, _: _progress(job) or "-", raw=lambda job, _: _progress(job)),
    Field(name="Baseline", title="BASELINE", raw_name="Baseline_mg", right=True,
          shown=lambda job, _: format_mass(job["baseline_mg"]),
          raw=lambda job, _: job["baseline_mg"]),
    Field(name="Best", title="BEST", raw_name="Best_mg", right=True,
          shown=lambda job, _: format_mass(job["best_mg"]), raw=lambda job, _: job["best_mg"]),
    Field(name="Energy", title="ENERGY", raw_name="Energy_J", right=True,
          shown=lambda job, _: format_energy(_predicted(job, "energy_j")),
          raw=lambda job, _: _predicted(job, "energy_j")),
    Field(name="Duration", title="DURATION", raw_name="Duration_s", right=True,
          shown=lambda job, _: format_duration(_predicted(job, "duration_s")),
          raw=lambda job, _: _predicted(job, "duration_s")),
    Field(name="Source", title="SOURCE", raw_name="Source",
          shown=lambda job, _: job["prediction"]["source"] if job["prediction"] else "-",
          raw=lambda job, _: job["prediction"]["source"] if job["prediction"] else None),
    Field(name="Plan", title="PLAN", raw_name="Plan", floor=10,
          shown=lambda job, _: job["plan_text"] or "-", raw=lambda job, _: job["plan_text"]),
)  # fmt: skip


def explained(job: QueueJob, now: int, screen: Screen) -> list[str]:
    """One job's decision in sentences: when, why, what it is expected to take, on what grounds."""
    head = f"{job['shown_id']} {job['name']} ({job['user']}, {job['state'].lower()})"
    lines = [screen.paint(cut(clean(head), screen.width), "bold")]
    facts = [
        _timing(job, now),
        _stop(job, now),
        _decision(job),
        _masses(job, now),
        *_prediction(job),
    ]
    for fact in facts:
        lines += paragraph(fact, screen.width, "  ") if fact else []
    return lines


def _timing(job: QueueJob, now: int) -> str:
    if not pending(job):
        started = job["started_at"]
        told = f"Started {when(started, now)}." if started is not None else ""
        epoch = f" Epoch {_progress(job).replace('/', ' of ')}." if job["epoch"] is not None else ""
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
    planned, saved_mg = job["planned_start_at"], job["saved_mg"]
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


def _prediction(job: QueueJob) -> list[str]:
    given = job["prediction"]
    if given is None:
        return ["Prediction: none yet."]
    return [
        f"Prediction from {given['source']}: {given['explanation']}",
        "  time    " + _interval(given, "duration"),
        "  energy  " + _interval(given, "energy"),
        "  CO2     " + _interval(given, "mass"),
    ]


def _interval(given: PredictionDocument, what: str) -> str:
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
