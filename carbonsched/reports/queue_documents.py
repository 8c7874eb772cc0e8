"""The document of ``GET /v1/queue``; units and missing values as in ``documents.py``."""

from __future__ import annotations

from typing import Any, TypedDict, cast

from carbonsched.reports.conformity import conform


class PredictionDocument(TypedDict):
    """What a whole job is expected to need, with its 90 % and 50 % intervals.

    The latter, ``p25`` to ``p75``, are null in predictions of before they were kept.
    """

    source: str
    samples: int
    duration_s: int
    duration_low_s: int
    duration_p25_s: int | None
    duration_p75_s: int | None
    duration_high_s: int
    energy_j: int
    energy_low_j: int
    energy_p25_j: int | None
    energy_p75_j: int | None
    energy_high_j: int
    mg: int | None
    mg_low: int | None
    mg_p25: int | None
    mg_p75: int | None
    mg_high: int | None
    explanation: str


class LeftDocument(TypedDict):
    """What is left of a run, with the interval that should hold 90 % of outcomes."""

    duration_s: int
    duration_low_s: int
    duration_high_s: int
    energy_j: int
    energy_low_j: int
    energy_high_j: int
    mg: int | None
    mg_low: int | None
    mg_high: int | None


class OtherwiseDocument(TypedDict):
    """What is ``left`` of a run as it is, ``here``, and ``changed`` if it went on ``there``.

    ``why`` is why that is not known, else empty. ``by`` says in words whose epochs told the ratios,
    which were ``jobs``. ``beyond_limit``: its time limit would come first.
    """

    why: str
    here: str | None
    there: str | None
    by: str | None
    jobs: int | None
    time_ratio: float | None
    energy_ratio: float | None
    beyond_limit: bool
    left: LeftDocument | None
    changed: LeftDocument | None


class QuotaShare(TypedDict):
    """What is left of a quota, and which share of it the job takes with what is not charged yet.

    ``left_mg`` is with the job's own reservation; ``share`` is null where nothing is left or known.
    """

    subject: str
    period: str
    left_mg: int
    share: float | None


class BudgetDocument(TypedDict):
    """A job beside its own budget, all runs together; ``used_mg`` is null where none is metered.

    ``state`` is ``warned``, ``signalling``, ``signalled``, ``ending``, ``ended`` or ``left``.
    """

    budget_mg: int
    used_mg: int | None
    predicted_mg: int | None
    state: str | None
    text: str
    note: str


class PilotDocument(TypedDict):
    """What was decided after a pilot's first epoch; nulls until then."""

    decided_at: int | None
    stopped: bool | None
    note: str


class AskedOfJob(TypedDict, total=False):
    """What is told of a job of the queue where it is asked for; earlier daemons have no word."""

    otherwise: OtherwiseDocument | None


class QueueJob(AskedOfJob):
    """A pending or running job with its plan of ``planned_at``, and the masses reckoned then.

    ``shadow_start_at`` and ``shadow_mg`` are those of a plan that shadow mode does not carry out.
    ``stopped_at`` is when its run before was stopped to go on in a cleaner window, ``stopping_at``
    when this one was told to write a checkpoint, as long as it is being stopped. The prediction is
    of this run, as is ``finish_at`` with its intervals; ``earlier_s``, ``earlier_j`` and
    ``earlier_mg`` are what the job's runs before took.
    """

    cluster: str
    job_id: int
    shown_id: str
    restarts: int
    user: str
    account: str
    partition: str
    name: str
    state: str
    reason: str
    cpus: int
    node_count: int
    tasks: int
    submitted_at: int
    started_at: int | None
    planned_start_at: int | None
    latest_at: int | None
    plan_reason: str | None
    plan_text: str | None
    expected_mg: int | None
    baseline_mg: int | None
    best_mg: int | None
    saved_mg: int | None
    planned_at: int | None
    shadow_start_at: int | None
    shadow_mg: int | None
    stopped_at: int | None
    stopping_at: int | None
    forecast_label: str | None
    epoch: int | None
    epochs: int | None
    prediction: PredictionDocument | None
    finish_at: int | None
    finish_low_at: int | None
    finish_p25_at: int | None
    finish_p75_at: int | None
    finish_high_at: int | None
    earlier_runs: int
    earlier_s: int
    earlier_j: int | None
    earlier_mg: int | None
    quota: list[QuotaShare]
    budget: BudgetDocument | None
    pilot: PilotDocument | None


class QueueDocument(TypedDict):
    """``GET /v1/queue``."""

    now: int
    jobs: list[QueueJob]


def read_queue(answer: Any) -> QueueDocument:
    """The answer as a queue document; ``DaemonError`` where it is not one."""
    conform(answer, QueueDocument, "")
    return cast("QueueDocument", answer)
