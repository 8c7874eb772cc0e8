"""The queue as csqueue shows it."""

from __future__ import annotations

from carbonsched.model.job import PENDING_STATES
from carbonsched.reports import states
from carbonsched.reports.fields import Field
from carbonsched.reports.moments import span, stamp, when
from carbonsched.reports.queue_documents import BudgetDocument, QueueJob
from carbonsched.units import format_duration, format_energy, format_mass

DEFAULT = "JobID,Name,User,ST,Start,Why,CO2,Saves"
PREDICTED = "JobID,Name,ST,Finish,Energy,CO2,Range,Quota,Source,Samples"
"""What ``csqueue --predicted`` shows."""
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
        return ", ".join(word for word in (_budget(job), _epoch(job)) if word)
    reason = job["plan_reason"]
    return job["reason"] if reason is None else _WHY.get(reason, reason)


def _epoch(job: QueueJob) -> str:
    return f"epoch {progress(job)}" if job["epoch"] is not None else ""


def _budget(job: QueueJob) -> str:
    """A word on the job's own budget where it does not last."""
    given = job["budget"]
    if given is None:
        return ""
    if given["state"] not in (None, "warned"):
        return "budget used up"
    return "over budget" if exceeds(given) else ""


def exceeds(budget: BudgetDocument) -> bool:
    """Whether a job is expected to use more than its own budget."""
    return (budget["predicted_mg"] or 0) > budget["budget_mg"]


def _range(job: QueueJob) -> str:
    given = job["prediction"]
    if given is None or given["mg_low"] is None:
        return "-"
    return f"{format_mass(given['mg_low'])} to {format_mass(given['mg_high'])}"


def _raw_range(job: QueueJob) -> str | None:
    given = job["prediction"]
    if given is None or given["mg_low"] is None:
        return None
    return f"{given['mg_low']}-{given['mg_high']}"


def quota_share(job: QueueJob) -> float | None:
    """The largest share that the job takes of what is left of a quota; ``None`` where none is."""
    return max((one["share"] for one in job["quota"] if one["share"] is not None), default=None)


def _quota(job: QueueJob) -> str:
    share = quota_share(job)
    if share is not None:
        return format_share(share)
    return "used up" if any(one["left_mg"] <= 0 for one in job["quota"]) else "-"


def format_share(share: float) -> str:
    """``3.1%``, ``0.04%``, ``210%``."""
    return f"{100 * share:.0f}%" if share >= 0.0995 else f"{100 * share:.2g}%"


def progress(job: QueueJob) -> str:
    """``3/50``, or as much as is known."""
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
          shown=lambda job, _: progress(job) or "-", raw=lambda job, _: progress(job)),
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
    Field(name="Samples", title="N", raw_name="Samples", right=True,
          shown=lambda job, _: str(job["prediction"]["samples"]) if job["prediction"] else "-",
          raw=lambda job, _: job["prediction"]["samples"] if job["prediction"] else None),
    Field(name="Finish", title="FINISH", raw_name="Finish",
          shown=lambda job, now: when(job["finish_at"], now),
          raw=lambda job, _: stamp(job["finish_at"])),
    Field(name="Range", title="9 IN 10", raw_name="CO2Range_mg", right=True,
          shown=lambda job, _: _range(job), raw=lambda job, _: _raw_range(job)),
    Field(name="Quota", title="QUOTA", raw_name="QuotaShare", right=True,
          shown=lambda job, _: _quota(job), raw=lambda job, _: quota_share(job)),
    Field(name="Budget", title="BUDGET", raw_name="Budget_mg", right=True,
          shown=lambda job, _: format_mass(job["budget"]["budget_mg"] if job["budget"] else None),
          raw=lambda job, _: job["budget"]["budget_mg"] if job["budget"] else None),
    Field(name="Used", title="USED", raw_name="Used_mg", right=True,
          shown=lambda job, _: format_mass(job["budget"]["used_mg"] if job["budget"] else None),
          raw=lambda job, _: job["budget"]["used_mg"] if job["budget"] else None),
    Field(name="Plan", title="PLAN", raw_name="Plan", floor=10,
          shown=lambda job, _: job["plan_text"] or "-", raw=lambda job, _: job["plan_text"]),
)  # fmt: skip
